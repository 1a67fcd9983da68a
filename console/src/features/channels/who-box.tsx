/** Who would serve this call? The server answers as for a real one, channel by channel, and nothing is called. */
import { useMutation } from "@tanstack/react-query";
import { ChevronDown, HelpCircle } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { type Candidate, type Forecast, forecast, type Question, SCENES } from "@/api/routes";
import { errorSentence } from "@/shared/notify";
import { oneOf } from "@/shared/url-state";
import { Button } from "@/ui/button";
import { cx } from "@/ui/cx";
import { Input, Select } from "@/ui/field";
import { StateShape, TONE_TEXT, type Tone } from "@/ui/state";
import { STRATEGY_WORDS } from "./words";

const TONES: Record<string, Tone> = {
  serves: "done",
  next: "running",
  later: "idle",
  slot: "warn",
  pause: "warn",
  limit: "warn",
  breaker: "failed",
  key: "failed",
};
/** The server's sentence says more than ours where it names a reason or a time. */
const TELLING = new Set(["pause", "breaker", "key", "limit"]);

export function WhoBox({ models, groups, regions }: { models: string[]; groups: string[]; regions: string[] }) {
  const { t } = useTranslation();
  const [model, setModel] = useState("");
  const [more, setMore] = useState(false);
  const [scene, setScene] = useState<(typeof SCENES)[number]>("chat");
  const [user, setUser] = useState("");
  const [group, setGroup] = useState("");
  const [region, setRegion] = useState("");
  const ask = useMutation({ mutationFn: (question: Question) => forecast(question) });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (model.trim() === "") return;
    ask.mutate({
      model: model.trim(),
      scene,
      user_id: /^[1-9]\d*$/.test(user) ? Number(user) : undefined,
      group: group.trim() || undefined,
      region: region.trim() || undefined,
    });
  };
  return (
    <section className="mb-3 rounded-md border bg-panel" aria-label={t("channels.who.title")} data-testid="who-box">
      <form onSubmit={submit} className="flex flex-wrap items-center gap-2 p-2">
        <h2 className="flex items-center gap-1.5 px-1 font-semibold text-sm">
          <HelpCircle aria-hidden className="size-4 text-faint" />
          {t("channels.who.title")}
        </h2>
        <Input
          aria-label={t("channels.who.model")}
          placeholder={t("channels.who.model")}
          list="who-models"
          spellCheck={false}
          autoCapitalize="off"
          className="w-full font-mono text-xs sm:w-64"
          value={model}
          onChange={(event) => setModel(event.target.value)}
          data-testid="who-model"
        />
        <Words id="who-models" words={models} />
        {more ? (
          <>
            <Select
              aria-label={t("channels.who.scene")}
              className="w-36"
              value={scene}
              onChange={(event) => setScene(oneOf(event.target.value, SCENES) ?? "chat")}
            >
              {SCENES.map((word) => (
                <option key={word} value={word}>
                  {t(`channels.who.scenes.${word}`)}
                </option>
              ))}
            </Select>
            <Input
              type="number"
              min={1}
              aria-label={t("channels.who.user")}
              placeholder={t("channels.who.user")}
              className="w-28"
              value={user}
              onChange={(event) => setUser(event.target.value)}
            />
            <Input
              aria-label={t("channels.groups")}
              placeholder={t("channels.who.group")}
              list="who-groups"
              className="w-28"
              value={group}
              onChange={(event) => setGroup(event.target.value)}
              data-testid="who-group"
            />
            <Words id="who-groups" words={groups} />
            <Input
              aria-label={t("channels.region")}
              placeholder={t("channels.region")}
              list="who-regions"
              className="w-28"
              value={region}
              onChange={(event) => setRegion(event.target.value)}
            />
            <Words id="who-regions" words={regions} />
          </>
        ) : null}
        <Button type="submit" busy={ask.isPending} disabled={model.trim() === ""} data-testid="who-ask">
          {t("channels.who.ask")}
        </Button>
        <Button
          look="quiet"
          aria-expanded={more}
          icon={<ChevronDown aria-hidden className={cx("size-3.5 transition-transform", more && "rotate-180")} />}
          onClick={() => setMore(!more)}
        >
          {t("channels.who.more")}
        </Button>
        {ask.data || ask.error ? (
          <Button look="quiet" className="ml-auto" onClick={() => ask.reset()}>
            {t("act.close")}
          </Button>
        ) : null}
      </form>
      {ask.error ? (
        <p role="alert" className="border-t px-3 py-2 text-failed text-sm">
          {errorSentence(ask.error)}
        </p>
      ) : null}
      {ask.data ? <Answer answer={ask.data} /> : null}
    </section>
  );
}

function Words({ id, words }: { id: string; words: readonly string[] }) {
  return (
    <datalist id={id}>
      {words.map((word) => (
        <option key={word} value={word} />
      ))}
    </datalist>
  );
}

function Answer({ answer }: { answer: Forecast }) {
  const { t } = useTranslation();
  if (answer.candidates.length === 0)
    return <p className="border-t px-3 py-2 text-soft text-sm">{t("channels.who.unknown", { model: answer.model })}</p>;
  const [kind = "", ...name] = answer.strategy_from.split(":");
  return (
    <div className="border-t" role="status" data-testid="who-answer">
      <p className="px-3 pt-2 text-soft text-sm">
        {answer.would_serve === null ? (
          <span className="font-medium text-failed">{t("channels.who.nobody")} </span>
        ) : null}
        {t("channels.who.by", {
          strategy: t(STRATEGY_WORDS[answer.strategy]),
          from:
            kind === "default"
              ? t("rules.from.default")
              : t(`rules.from.${kind as "global"}`, { name: name.join(":") }),
        })}
        {answer.region ? ` ${t("channels.who.in", { region: answer.region })}` : null}
      </p>
      <ol className="divide-y px-1 py-1">
        {[...answer.candidates].sort(byRank).map((one) => (
          <Line key={one.channel_id} one={one} />
        ))}
      </ol>
    </div>
  );
}

function byRank(a: Candidate, b: Candidate): number {
  return (a.rank ?? Number.MAX_SAFE_INTEGER) - (b.rank ?? Number.MAX_SAFE_INTEGER) || (a.tier ?? 99) - (b.tier ?? 99);
}

function Line({ one }: { one: Candidate }) {
  const { t, i18n } = useTranslation();
  const tone = TONES[one.verdict] ?? "idle";
  const word = `channels.who.verdicts.${one.verdict}`;
  const sentence = i18n.exists(word) ? t(word as "channels.who.verdicts.serves") : one.why;
  return (
    <li
      className="grid grid-cols-[1.5rem_auto_minmax(6rem,14rem)_1fr] items-center gap-x-2 px-2 py-1 text-sm max-sm:grid-cols-[1.5rem_auto_1fr]"
      data-testid="who-candidate"
      data-verdict={one.verdict}
    >
      <span className="tnum text-right text-faint">{one.rank ?? "–"}</span>
      <span className={TONE_TEXT[tone]}>
        <StateShape tone={tone} />
      </span>
      <span className={cx("truncate", one.verdict === "serves" && "font-medium")} title={one.channel}>
        {one.channel}
      </span>
      <span className="text-soft max-sm:col-start-3" title={one.why}>
        {sentence}
        {TELLING.has(one.verdict) ? <span className="text-faint text-xs"> · {one.why}</span> : null}
        {one.tier !== null && one.tier !== undefined ? (
          <span className="text-faint text-xs"> · {t("channels.who.tier", { tier: one.tier })}</span>
        ) : null}
      </span>
    </li>
  );
}
