// Numbers, amounts and times as people read them. All are plain functions.
import { type Language, tag } from "./language";

const THIN = "\u202f";

/** Whole digits in groups of three: `1 204 600`. */
export function grouped(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+(?!\d))/g, THIN);
}

/** A count or a height. */
export function count(value: number): string {
  return grouped(String(Math.round(value)));
}

/** A number with at most `places` digits after the point. */
export function decimal(value: number, places = 2): string {
  if (!Number.isFinite(value)) return "–";
  // Small ones keep two digits that say something.
  const needed = value === 0 ? places : Math.min(9, Math.max(places, 1 - Math.floor(Math.log10(Math.abs(value)))));
  if (needed > places) return decimal(value, needed);
  const [whole = "0", rest = ""] = Math.abs(value).toFixed(places).split(".");
  const kept = rest.replace(/0+$/, "");
  return `${value < 0 ? "−" : ""}${grouped(whole)}${kept === "" ? "" : `.${kept}`}`;
}

/** An amount in the smallest unit, with `decimals` digits after the point; at most six are shown. */
export function amount(text: string, decimals: number): string {
  if (!/^-?\d+$/.test(text)) return text;
  const negative = text.startsWith("-");
  const digits = text.replace("-", "").padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals).replace(/^0+(?=\d)/, "");
  const fraction = digits.slice(digits.length - decimals);
  const shown = fraction.slice(0, 6).replace(/0+$/, "");
  const sign = negative ? "−" : "";
  if (whole === "0" && shown === "" && /[1-9]/.test(fraction)) return `${sign}<0.000001`;
  return `${sign}${grouped(whole)}${shown === "" ? "" : `.${shown}`}`;
}

/** Wei as a price of gas. */
export function gasPrice(wei: number): string {
  return wei < 1e6 ? `${count(wei)}${THIN}wei` : `${decimal(wei / 1e9, 3)}${THIN}gwei`;
}

/** A share of 1 in percent. */
export function percent(share: number, places = 1): string {
  return `${decimal(share * 100, places)}${THIN}%`;
}

/** Large counts with SI letters: `12.3 M`. */
export function si(value: number): string {
  for (const [size, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) {
    if (Math.abs(value) >= size) return `${decimal(value / size, 2)}${THIN}${letter}`;
  }
  return decimal(value, 2);
}

const UNITS: Record<Language, readonly [string, string, string, string]> = {
  en: ["s", "min", "h", "d"],
  zh: ["秒", "分钟", "小时", "天"],
};

/** How long something lasts. */
export function span(milliseconds: number, language: Language): string {
  const [s, m, h, d] = UNITS[language];
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 90) return `${seconds} ${s}`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} ${m}`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} ${h}`;
  return `${Math.round(seconds / 86_400)} ${d}`;
}

/** A moment in the browser's own time, with its offset from UTC. */
export function moment(milliseconds: number): string {
  const date = new Date(milliseconds);
  if (Number.isNaN(date.getTime())) return "–";
  const two = (value: number): string => String(value).padStart(2, "0");
  const offset = -date.getTimezoneOffset();
  const sign = offset < 0 ? "−" : "+";
  const zone = `UTC${sign}${Math.floor(Math.abs(offset) / 60)}${offset % 60 === 0 ? "" : `:${two(Math.abs(offset) % 60)}`}`;
  return (
    `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${zone}`
  );
}

/** The time of day alone. */
export function clock(milliseconds: number, language: Language): string {
  return new Date(milliseconds).toLocaleTimeString(tag(language), { hour12: false });
}

/** An address or a hash, cut in the middle. */
export function short(hex: string): string {
  return hex.length <= 18 ? hex : `${hex.slice(0, 8)}…${hex.slice(-6)}`;
}
