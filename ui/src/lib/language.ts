// The language: Chinese or English, switched without a reload.
import { Stored } from "./stored";

export type Language = "en" | "zh";

const browser: Language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";

export const language: Stored<Language> = new Stored<Language>("language", ["en", "zh"], browser, (value) => {
  document.documentElement.lang = tag(value);
});

/** As HTML and Intl name it. */
export function tag(value: Language): string {
  return value === "zh" ? "zh-CN" : "en";
}
