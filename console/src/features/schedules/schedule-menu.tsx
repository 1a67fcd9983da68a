/** The acts on one schedule, in its row. */
import { CirclePause, CirclePlay, Ellipsis, Play, Trash2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Schedule } from "@/api/schedules";
import { IconButton } from "@/ui/button";
import { Menu, MenuItem, MenuSeparator } from "@/ui/menu";
import { isOver } from "./timing";
import { useScheduleActs } from "./use-schedule-acts";

const ICON = "size-3.5";

export function ScheduleMenu({ schedule, all }: { schedule: Schedule; all: boolean }) {
  const { t } = useTranslation();
  const acts = useScheduleActs(schedule, all);
  return (
    <Menu
      trigger={
        <IconButton
          label={`${t("act.more")}: ${schedule.name}`}
          icon={<Ellipsis aria-hidden className="size-4" />}
          className="size-7"
          data-testid="schedule-menu"
        />
      }
    >
      <MenuItem icon={<Play aria-hidden className={ICON} />} onSelect={() => void acts.askRun()} testId="schedule-run">
        {t("schedules.run")}
      </MenuItem>
      {isOver(schedule, Date.now()) ? null : (
        <MenuItem
          icon={
            schedule.enabled ? (
              <CirclePause aria-hidden className={ICON} />
            ) : (
              <CirclePlay aria-hidden className={ICON} />
            )
          }
          onSelect={() => acts.turn.mutate(!schedule.enabled)}
          testId="schedule-turn"
        >
          {schedule.enabled ? t("schedules.disable") : t("schedules.enable")}
        </MenuItem>
      )}
      {schedule.user_id === null ? null : (
        <>
          <MenuSeparator />
          <MenuItem
            danger
            icon={<Trash2 aria-hidden className={ICON} />}
            onSelect={() => void acts.askRemoval()}
            testId="schedule-delete"
          >
            {t("act.delete")}
          </MenuItem>
        </>
      )}
    </Menu>
  );
}
