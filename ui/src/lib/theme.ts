// Dark, light, or as the system says.
import { Stored } from "./stored";

export type Theme = "system" | "dark" | "light";

const light = matchMedia("(prefers-color-scheme: light)");

/** The theme that is shown. */
export function shown(value: Theme): "dark" | "light" {
  if (value !== "system") return value;
  return light.matches ? "light" : "dark";
}

export const theme: Stored<Theme> = new Stored<Theme>("theme", ["system", "dark", "light"], "system", (value) => {
  // Mantine's own attribute; our tokens hang on it, too.
  document.documentElement.setAttribute("data-mantine-color-scheme", shown(value));
});

light.addEventListener("change", () => theme.apply());
