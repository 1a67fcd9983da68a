import alerts from "./alerts";
import calls from "./calls";
import channels from "./channels";
import common from "./common";
import dashboard from "./dashboard";
import jobs from "./jobs";
import keys from "./keys";
import localModels from "./local-models";
import reports from "./reports";
import review from "./review";
import rules from "./rules";
import samples from "./samples";
import schedules from "./schedules";
import tasks from "./tasks";

export default {
  ...common,
  alerts,
  calls,
  channels,
  dashboard,
  jobs,
  keys,
  localModels,
  reports,
  review,
  rules,
  samples,
  schedules,
  tasks,
};
