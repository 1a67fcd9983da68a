#!/usr/bin/env bash
# Call every API of a running server by curl and say what answered as it should.
#
#   scripts/smoke.sh              every part
#   scripts/smoke.sh tasks keys   those parts (health auth keys channels gateway models files tasks review jobs live alerts admin)
#
# Where and as whom: TIDEMILL_URL (http://127.0.0.1:8080), TIDEMILL_USER (admin), TIDEMILL_PASSWORD (asked for when it is
# not set). The gateway and task parts need a model: MODEL, else a channel is made to SIMULATOR_URL (an address of
# `tidemill simulate`), else the first local model is used. What it makes, it deletes. Ends with 1 when a call failed.
set -uo pipefail
cd "$(dirname "$0")/.."

URL=${TIDEMILL_URL:-http://127.0.0.1:8080}
USER_NAME=${TIDEMILL_USER:-admin}
RUN=$$
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
PASSED=0
FAILED=0
TOKEN=""
STATUS=0

# call EXPECTED-STATUS METHOD PATH [curl arguments…]: the body lands in $WORK/body.
call() {
  local expected=$1 method=$2 path=$3
  shift 3
  STATUS=$(curl -sS -m 120 -o "$WORK/body" -w '%{http_code}' -X "$method" "$URL$path" \
    ${TOKEN:+-H "Authorization: Bearer $TOKEN"} "$@" 2> "$WORK/curl-error") || STATUS=000
  told "$expected" "$method" "$path"
}
# told EXPECTED-STATUS METHOD PATH: compare with STATUS, count and say.
told() {
  local expected=$1 method=$2 path=$3
  if [ "$STATUS" = "$expected" ]; then
    PASSED=$((PASSED + 1))
    printf '  ok    %-6s %s\n' "$method" "$path"
  else
    FAILED=$((FAILED + 1))
    printf '  FAIL  %-6s %s: %s instead of %s\n' "$method" "$path" "$STATUS" "$expected"
    head -c 400 "$WORK/body" "$WORK/curl-error" 2> /dev/null | sed 's/^/        /'
    echo
  fi
}
get() { call "$1" GET "$2" "${@:3}"; }
send() { call "$1" "$2" "$3" -H 'Content-Type: application/json' --data "${4:-{\}}"; }
# field EXPRESSION: a value of the last answer, as Python sees it (d is the decoded body).
field() { python3 -c "import json,sys; d=json.load(open(sys.argv[1])); print($1)" "$WORK/body" 2> /dev/null; }

sign_in() {
  [ -n "$TOKEN" ] && return
  if [ -z "${TIDEMILL_PASSWORD:-}" ]; then
    read -rsp "Password of $USER_NAME at $URL: " TIDEMILL_PASSWORD
    echo
  fi
  send 200 POST /api/login "$(python3 -c 'import json,sys; print(json.dumps({"username": sys.argv[1], "password": sys.argv[2]}))' "$USER_NAME" "$TIDEMILL_PASSWORD")"
  TOKEN=$(field 'd["data"]["access_token"]')
  if [ -z "$TOKEN" ]; then
    echo "Could not sign in as $USER_NAME; set TIDEMILL_USER and TIDEMILL_PASSWORD." >&2
    exit 1
  fi
}

CHANNEL=""
pick_model() {
  sign_in
  [ -n "${MODEL:-}" ] && return
  if [ -n "${SIMULATOR_URL:-}" ]; then
    send 201 POST /api/v1/admin/channels "{\"name\":\"smoke-$RUN\",\"base_url\":\"$SIMULATOR_URL\",\"keys\":[\"sk-simulated\"],\"models\":[\"smoke-model-$RUN\"]}"
    CHANNEL=$(field 'd["id"]')
    MODEL=smoke-model-$RUN
    return
  fi
  get 200 /api/v1/models/
  MODEL=$(field 'd["models"][0]["name"]')
  if [ -z "${MODEL:-}" ]; then
    echo "No model to call: set MODEL or SIMULATOR_URL, or run: tidemill models fetch-demo" >&2
    exit 1
  fi
}

FILE=""
upload() {
  sign_in
  [ -n "$FILE" ] && return
  call 200 POST /api/data_files/upload -F "file=@examples/qa_pairs.zh.jsonl"
  FILE=$(field 'd["data"]["id"]')
}

TASK=""
finished_task() {
  pick_model
  upload
  [ -n "$TASK" ] && return
  send 200 POST /api/start "{\"file_id\":$FILE,\"task_type\":\"qa_pairs\",\"model\":\"$MODEL\",\"min_score\":0,\"variants_per_sample\":1,\"data_rounds\":1,\"sample_limit\":2}"
  TASK=$(field 'd["data"]["task_id"]')
  call 200 GET "/api/progress/$TASK" -m 300
}

part_health() {
  for path in /health /healthz /livez /startupz /readyz /metrics /openapi.json /; do get 200 $path; done
}
part_auth() {
  sign_in
  get 200 /api/me
  get 200 /api/v1/auth/profile
  local mine=$TOKEN name=smoke$RUN
  TOKEN=""
  send 200 POST /api/register "{\"username\":\"$name\",\"password\":\"Smoke-pass-1\"}"
  send 201 POST /api/v1/auth/register "{\"username\":\"${name}b\",\"password\":\"Smoke-pass-1\"}"
  send 200 POST /api/v1/auth/login "{\"username\":\"$name\",\"password\":\"Smoke-pass-1\"}"
  TOKEN=$(field 'd["token"]')
  send 200 POST /api/v1/auth/refresh
  TOKEN=$(field 'd["token"]')
  send 200 POST /api/v1/auth/password '{"current_password":"Smoke-pass-1","new_password":"Smoke-pass-2"}'
  TOKEN=$(field 'd["token"]')
  send 204 POST /api/v1/auth/logout
  TOKEN=""
  send 202 POST /api/v1/auth/forgot '{"email":"nobody@example.com"}'
  send 400 POST /api/v1/auth/reset '{"token":"not-a-token","password":"Smoke-pass-3"}'
  send 200 POST /api/login "{\"username\":\"${name}b\",\"password\":\"Smoke-pass-1\"}"
  TOKEN=$(field 'd["data"]["access_token"]')
  send 200 POST /api/logout
  TOKEN=$mine
  get 200 "/api/admin/users?q=$name"
  for id in $(field '" ".join(str(u["id"]) for u in d["data"]["items"])'); do
    send 200 PATCH "/api/v1/admin/users/$id" '{"group":"smoke"}'
    send 200 DELETE "/api/admin/users/$id"
  done
}
part_keys() {
  sign_in
  send 201 POST /api/v1/keys '{"name":"smoke","scopes":["relay","datagen"]}'
  local id
  id=$(field 'd["id"]')
  get 200 /api/v1/keys
  get 200 "/api/v1/keys/$id"
  send 200 PATCH "/api/v1/keys/$id" '{"name":"smoke renamed"}'
  send 200 POST "/api/v1/keys/$id/revoke"
  send 204 DELETE "/api/v1/keys/$id"
}
part_channels() {
  pick_model
  send 201 POST /api/v1/admin/channels "{\"name\":\"smoke-extra-$RUN\",\"base_url\":\"${SIMULATOR_URL:-http://127.0.0.1:9}\",\"keys\":[\"sk-simulated\"],\"models\":{\"smoke-extra-$RUN\":\"any\"}}"
  local id
  id=$(field 'd["id"]')
  get 200 /api/v1/admin/channels
  get 200 /api/v1/admin/health
  get 200 "/api/v1/admin/channels/$id/health"
  get 200 "/api/v1/admin/channels/$id/events"
  get 200 "/api/v1/admin/channels/$id"
  send 200 PATCH "/api/v1/admin/channels/$id" '{"weight":2}'
  for act in test drain disable enable; do send 200 POST "/api/v1/admin/channels/$id/$act"; done
  local key
  key=$(field 'd["keys"][0]["id"]')
  for act in disable enable; do send 200 POST "/api/v1/admin/channels/$id/keys/$key/$act"; done
  get 200 "/api/v1/admin/channels/stats?series=true"
  get 200 "/api/v1/admin/channels/$id/stats"
  get 200 /api/v1/admin/channels/export
  call 200 POST "/api/v1/admin/channels/import?dry_run=true" --data-binary "@$WORK/body"
  send 200 POST /api/v1/admin/routes/dry-run "{\"model\":\"smoke-extra-$RUN\"}"
  local rule
  send 201 POST /api/v1/admin/routes "{\"kind\":\"model\",\"name\":\"smoke-extra-$RUN\",\"strategy\":\"least_errors\"}"
  rule=$(field 'd["id"]')
  get 200 /api/v1/admin/routes
  get 200 "/api/v1/admin/routes/$rule"
  send 200 PATCH "/api/v1/admin/routes/$rule" '{"rpm":600}'
  send 204 DELETE "/api/v1/admin/routes/$rule"
  send 204 DELETE "/api/v1/admin/channels/$id"
  send 200 POST /api/admin/models "{\"name\":\"smoke-config-$RUN\",\"api_url\":\"${SIMULATOR_URL:-http://127.0.0.1:9}/v1\",\"model_path\":\"any\"}"
  id=$(field 'd["data"]["id"]')
  get 200 /api/admin/models
  get 200 "/api/admin/models/$id"
  send 200 PUT "/api/admin/models/$id" '{"description":"changed"}'
  send 200 DELETE "/api/admin/models/$id"
}
part_gateway() {
  pick_model
  local ask="\"model\":\"$MODEL\",\"messages\":[{\"role\":\"user\",\"content\":\"Say hello.\"}],\"max_tokens\":16"
  get 200 /api/models
  get 200 /v1/models
  get 200 "/v1/models/$MODEL"
  get 200 /v1/key
  send 200 POST /v1/chat/completions "{$ask}"
  send 200 POST /v1/chat/completions "{$ask,\"stream\":true}"
  send 200 POST /v1/embeddings "{\"model\":\"$MODEL\",\"input\":[\"tide\",\"mill\"]}"
  send 200 POST /api/model-call "{$ask}"
  send 404 POST /v1/chat/completions '{"model":"no-such-model","messages":[{"role":"user","content":"x"}]}'
  get 200 /api/v1/usage
  sleep 1 # usage arrives half a second late
  get 200 "/api/v1/calls?page_size=2"
  get 200 "/api/v1/calls/$(field 'd["items"][0]["id"]')"
  get 200 "/api/v1/calls/export?status=failed"
}
part_models() {
  sign_in
  get 200 /api/v1/models/
  local name
  name=$(field '(d["models"] or [{"name": ""}])[0]["name"]')
  if [ -z "$name" ]; then
    for path in "" /logs /metrics; do get 404 "/api/v1/models/none$path"; done
    for act in start stop; do send 404 POST "/api/v1/models/none/$act"; done
    send 404 POST /api/v1/models/none/chat '{"message":"x"}'
    return
  fi
  get 200 "/api/v1/models/$name"
  send 200 POST "/api/v1/models/$name/start?wait=true"
  send 200 POST "/api/v1/models/$name/chat" '{"message":"Say hello.","max_tokens":8}'
  get 200 "/api/v1/models/$name/logs"
  get 200 "/api/v1/models/$name/metrics"
  send 200 POST "/api/v1/models/$name/stop?wait=true"
}
part_files() {
  upload
  get 200 /api/data_files
  get 200 "/api/data_files/$FILE"
  get 200 "/api/data_files/$FILE/content?page_size=2"
  send 200 POST "/api/data_files/$FILE/content" '{"items":[{"question":"问","answer":"答"},{"question":"q","answer":"a"}]}'
  send 200 PUT "/api/data_files/$FILE/content/0" '{"question":"改","answer":"了"}'
  send 200 DELETE "/api/data_files/$FILE/content/batch" '{"indices":[0]}'
  get 200 "/api/data_files/$FILE/download"
  get 200 "/api/data_files/$FILE/download_csv"
  send 200 POST /api/data_files/batch_download "{\"file_ids\":[$FILE]}"
  send 200 POST /api/data_files/batch_convert "{\"file_ids\":[$FILE],\"target_format\":\"csv\"}"
  local made
  made=$(field '",".join(str(f["id"]) for f in d["data"]["files"])')
  send 200 POST /api/data_files/batch_delete "{\"file_ids\":[$made]}"
  call 200 POST /api/convert_files -F "file=@examples/qa_pairs.en.csv" -F target_format=jsonl
}
part_tasks() {
  sign_in
  get 200 /api/task_types
  finished_task
  get 200 "/api/status/$TASK"
  get 200 /api/tasks
  get 200 /api/active_task
  get 200 /api/admin/tasks
  call 204 GET "/api/progress/$TASK" -H "Last-Event-ID: 1000000000"
  send 409 POST "/api/stop/$TASK"
  send 409 POST "/api/resume/$TASK"
  send 200 POST /api/start "{\"file_id\":$FILE,\"task_type\":\"qa_pairs\",\"model\":\"$MODEL\",\"variants_per_sample\":50,\"max_concurrent\":1}"
  local long
  long=$(field 'd["data"]["task_id"]')
  send 200 POST "/api/stop/$long"
  send 200 POST "/api/resume/$long"
  send 200 DELETE "/api/task/$long"
  send 404 DELETE "/api/admin/tasks/$long"
}
part_review() {
  finished_task
  get 200 "/api/generated_data?task_id=$TASK"
  local id content me
  id=$(field 'd["data"]["items"][0]["id"]')
  content=$(field 'd["data"]["items"][0]["data_content"]')
  send 200 POST /api/generated_data/batch_update "{\"items\":[{\"id\":$id,\"data_content\":$content}]}"
  send 200 POST /api/generated_data/batch_confirm "{\"ids\":[$id],\"is_confirmed\":true}"
  send 200 POST /api/generated_data/batch_review "{\"ids\":[$id],\"status\":\"accepted\"}"
  for format in jsonl csv json; do get 200 "/api/generated_data/export?task_id=$TASK&format=$format"; done
  get 200 /api/reports
  get 200 "/api/reports/$TASK"
  for format in json csv md rows; do get 200 "/api/reports/$TASK/download?format=$format"; done
  get 200 /api/me
  me=$(field 'd["data"]["id"]')
  get 200 "/api/admin/users/$me/reports"
  get 200 "/api/admin/users/$me/reports/$TASK/download"
}
part_jobs() {
  upload
  pick_model
  get 200 /api/v1/jobs
  get 200 /api/v1/admin/jobs?status=dead,failed
  get 200 /api/v1/admin/workers
  get 200 /api/v1/admin/queues
  local queue=/api/v1/admin/queues/default start id job mine
  get 200 $queue
  send 200 PATCH $queue '{"max_per_user":10000}'
  # Paused, a job waits until it is cancelled.
  send 200 POST $queue/pause
  start="{\"file_id\":$FILE,\"task_type\":\"qa_pairs\",\"model\":\"$MODEL\",\"sample_limit\":1}"
  mine="\"type\":\"datagen.start\",\"payload\":$start,\"cron\":\"0 3 * * *\",\"timezone\":\"Asia/Shanghai\""
  get 200 "/api/v1/schedule-firings?cron=0%203%20*%20*%20*&timezone=Asia/Shanghai"
  for base in /api/v1/schedules /api/v1/admin/schedules; do
    if [ $base = /api/v1/schedules ]; then
      send 201 POST $base "{\"name\":\"smoke-$RUN\",$mine}"
    else
      send 201 POST $base "{\"name\":\"smoke-$RUN\",\"type\":\"samples.sweep\",\"cron\":\"0 4 * * *\"}"
    fi
    id=$(field 'd["id"]')
    get 200 $base
    get 200 "$base/$id"
    send 200 PATCH "$base/$id" '{"enabled":false}'
    send 200 POST "$base/$id/run"
    job=$(field 'd["job_id"]')
    send 204 DELETE "$base/$id"
    if [ $base = /api/v1/schedules ]; then
      get 200 "/api/v1/tasks/$job/status"
      get 200 "/api/v1/jobs/$job"
      send 200 POST "/api/v1/jobs/$job/cancel"
    else
      get 200 "/api/v1/admin/jobs/$job"
      send 200 PATCH "/api/v1/admin/jobs/$job" '{"priority":1}'
      send 409 POST "/api/v1/admin/jobs/$job/replay"
      send 409 POST "/api/v1/admin/jobs/$job/discard"
      send 200 POST "/api/v1/admin/jobs/$job/cancel"
    fi
  done
  send 200 POST $queue/resume
  for act in replay discard; do send 200 POST "/api/v1/admin/jobs/$act" '{"filter":{"type":"no.such.type"}}'; done
}
part_live() {
  sign_in
  # A stream has no end of its own: curl leaves it after two seconds (28), with what has come until then.
  STATUS=$(curl -sS -N -m 2 -o "$WORK/body" -w '%{http_code}' "$URL/api/v1/events?topics=jobs,tasks" \
    -H "Authorization: Bearer $TOKEN" 2> "$WORK/curl-error")
  [ $? = 28 ] && grep -q '"type":"ready"' "$WORK/body" || STATUS=000
  told 200 GET /api/v1/events
  STATUS=$(python3 scripts/smoke_socket.py "$URL" "$TOKEN" > "$WORK/body" 2> "$WORK/curl-error" && echo 101)
  told 101 GET /api/v1/ws
}
part_alerts() {
  sign_in
  get 200 /api/v1/admin/alerts?status=active
  send 200 POST /api/v1/admin/alerts/test
  send 404 POST /api/v1/admin/alerts/no-such-alert/acknowledge
}
part_admin() {
  sign_in
  get 200 /api/admin/users
  get 200 /api/admin/tasks
  get 200 /api/v1/admin/audit
}

clean_up() {
  [ -n "$TASK" ] && send 200 DELETE "/api/task/$TASK"
  [ -n "$FILE" ] && send 200 DELETE "/api/data_files/$FILE"
  [ -n "$CHANNEL" ] && send 204 DELETE "/api/v1/admin/channels/$CHANNEL"
  return 0
}

PARTS=("$@")
[ ${#PARTS[@]} -gt 0 ] || PARTS=(health auth keys channels gateway models files tasks review jobs live alerts admin)
for part in "${PARTS[@]}"; do
  if ! declare -F "part_$part" > /dev/null; then
    echo "There is no part called $part." >&2
    exit 2
  fi
done
for part in "${PARTS[@]}"; do
  echo "$part"
  "part_$part"
done
echo "putting things back"
clean_up
echo "$PASSED passed, $FAILED failed"
[ "$FAILED" = 0 ]
