/** How often figures that change by themselves are asked for, while the page is looked at. */
export const REFRESH_MS = 2_000;
