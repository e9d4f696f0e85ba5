// What the UI says, in the language that is chosen.
import { en } from "../words/en";
import { zh } from "../words/zh";
import { language } from "./language";

const ALL = { en, zh };

export type Words = typeof en;

/** The words of the chosen language; changes with it. */
export function useWords(): Words {
  return ALL[language.use()];
}

/** A word for a name that the server sends; the name itself where we have none. */
export function word(table: Record<string, string>, name: string): string {
  return Object.hasOwn(table, name) ? (table[name] ?? name) : name;
}
