/**
 * Every text a person reads goes through `t()`. One language is loaded at a time; a test proves that both know the
 * same keys with the same placeholders.
 */
import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import type zh from "./zh";

export const LANGUAGES = ["zh", "en"] as const;
export type Language = (typeof LANGUAGES)[number];

const STORAGE_KEY = "tidemill.lang";
const HTML_LANG: Record<Language, string> = { zh: "zh-CN", en: "en" };

const LOAD: Record<Language, () => Promise<{ default: unknown }>> = {
  zh: () => import("./zh"),
  en: () => import("./en"),
};

declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "translation";
    resources: { translation: typeof zh };
  }
}

export function initialLanguage(): Language {
  const chosen = localStorage.getItem(STORAGE_KEY);
  if (chosen === "zh" || chosen === "en") return chosen;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function currentLanguage(): Language {
  return i18next.language === "en" ? "en" : "zh";
}

async function ensureLoaded(language: Language): Promise<void> {
  if (i18next.hasResourceBundle(language, "translation")) return;
  const dictionary = await LOAD[language]();
  i18next.addResourceBundle(language, "translation", dictionary.default);
}

export async function startI18n(language: Language = initialLanguage()): Promise<void> {
  if (!i18next.isInitialized) {
    await i18next.use(initReactI18next).init({
      lng: language,
      resources: {},
      interpolation: { escapeValue: false }, // React escapes.
      returnNull: false,
      react: { useSuspense: false },
    });
  }
  await ensureLoaded(language);
  await i18next.changeLanguage(language);
  document.documentElement.lang = HTML_LANG[language];
}

export async function chooseLanguage(language: Language): Promise<void> {
  localStorage.setItem(STORAGE_KEY, language);
  await startI18n(language);
}
