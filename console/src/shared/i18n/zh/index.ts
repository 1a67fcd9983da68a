import channels from "./channels";
import common from "./common";
import dashboard from "./dashboard";
import jobs from "./jobs";
import keys from "./keys";
import localModels from "./local-models";
import reports from "./reports";
import review from "./review";
import samples from "./samples";
import schedules from "./schedules";
import tasks from "./tasks";

export default { ...common, channels, dashboard, jobs, keys, localModels, reports, review, samples, schedules, tasks };
