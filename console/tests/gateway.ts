/** What the administration of the gateway answers, for tests of pages. */
import type { Alert } from "@/api/alerts";
import type { CallDetail } from "@/api/calls";
import type { Channel, ChannelEvent } from "@/api/channels";
import type { Forecast, Rule } from "@/api/routes";

const AT = "2026-11-22T03:00:00Z";

export const CHANNEL: Channel = {
  id: 3,
  name: "vllm-1",
  provider: "vllm",
  base_url: "http://10.0.0.5:8000/v1",
  keys: [
    { id: "k1", last4: "9f3c", status: "active" },
    { id: "k2", last4: "77aa", status: "disabled", reason: "the key was not accepted", changed_at: AT },
  ],
  models: { chat: "qwen3-8b" },
  priority: 0,
  weight: 2,
  max_concurrent: 64,
  rpm: null,
  timeout_s: 600,
  defaults: {},
  forward_trace: true,
  status: "enabled",
  status_reason: null,
  tags: [],
  groups: ["lab"],
  region: "eu",
  config_id: null,
  read_only: false,
  limit: 64,
  in_flight: 1,
  breaker: "open",
  lanes: [{ key_last4: "9f3c", model: "chat", breaker: "open", retry_in_s: 4.2, reason: "HTTP 503" }],
  requests: 10,
  errors: 4,
  error_rate: 0.4,
  last_error: "HTTP 503",
  p50_ms: 20,
  p95_ms: 90,
};

export const EVENT: ChannelEvent = {
  id: "e1",
  at: AT,
  kind: "opened",
  model: "chat",
  key_last4: null,
  reason: "HTTP 503",
};

export const RULE: Rule = {
  id: 5,
  kind: "model",
  name: "chat",
  strategy: "lowest_latency",
  region: null,
  rpm: 60,
  tpm: null,
  max_concurrent: null,
  created_at: AT,
  updated_at: AT,
};

export const ALERT: Alert = {
  id: "a1",
  kind: "channel_down",
  severity: "critical",
  status: "open",
  subject_type: "channel",
  subject_id: "3",
  title: "vllm-1 is down",
  text: "HTTP 503",
  details: {},
  raised_at: AT,
  last_seen_at: AT,
  count: 2,
  sent_at: null,
  acknowledged_at: null,
  acknowledged_by: null,
  recovered_at: null,
};

export const CALL: CallDetail = {
  id: "c1",
  created_at: AT,
  request_id: "req-1",
  user_id: 1,
  key_id: null,
  surface: "relay",
  kind: "chat",
  channel_id: 3,
  channel: "vllm-1",
  provider: "vllm",
  model: "chat",
  upstream_model: "qwen3-8b",
  stream: true,
  cached: false,
  request_tokens: 12,
  response_tokens: 30,
  total_tokens: 42,
  estimated: false,
  cost_nano: 1_500_000,
  latency_ms: 321,
  first_token_ms: 40,
  status: "upstream_error",
  http_status: 502,
  error_code: "upstream_failed",
  retries: 1,
  fresh_tokens: 12,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
  audio_in_tokens: 0,
  output_tokens: 30,
  reasoning_tokens: 0,
  audio_out_tokens: 0,
  usage_raw: '{"prompt_tokens": 12}',
  metadata: null,
};

export const FORECAST: Forecast = {
  model: "chat",
  strategy: "lowest_latency",
  strategy_from: "model:chat",
  region: null,
  would_serve: 4,
  candidates: [
    {
      channel_id: 3,
      channel: "vllm-1",
      tier: 1,
      rank: null,
      verdict: "breaker",
      why: "its breaker is open for 4 s more: HTTP 503",
    },
    { channel_id: 4, channel: "vllm-2", tier: 1, rank: 1, verdict: "serves", why: "it would serve the call" },
  ],
};

const page = (...items: unknown[]) => ({ items, next: null });

export const GATEWAY = {
  "GET /api/v1/admin/channels": { items: [CHANNEL], total: 1, next: null },
  "GET /api/v1/admin/channels/stats": { from: AT, to: AT, day: AT, channels: [] },
  "GET /api/v1/admin/channels/3/stats": {
    channel_id: 3,
    from: AT,
    to: AT,
    totals: { requests: 3, errors: 1, latency_ms_avg: 20 },
    cost_nano: 0,
    series: [],
    models: [{ key: "chat", requests: 3 }],
    outcomes: [
      { status: "ok", error_code: null, requests: 2 },
      { status: "upstream_error", error_code: "upstream_failed", requests: 1 },
    ],
  },
  "GET /api/v1/admin/channels/3/health": {
    channel_id: 3,
    since: AT,
    until: AT,
    width_s: 60,
    uptime: 0.5,
    points: [{ at: AT, probes: 2, failures: 1, p50_ms: 12, max_ms: 20, error_rate: null }],
  },
  "GET /api/v1/admin/channels/3/events": page(EVENT),
  "GET /api/v1/admin/health": page(),
  "GET /api/v1/admin/routes": page(RULE),
  "GET /api/v1/admin/alerts": page(ALERT),
  "GET /api/v1/calls": { items: [CALL], next: "older", previous: null },
  [`GET /api/v1/calls/${CALL.id}`]: CALL,
};
