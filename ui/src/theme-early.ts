// Runs before anything is drawn: the stored theme and language, so that nothing flashes.
import { language } from "./lib/language";
import { theme } from "./lib/theme";

theme.apply();
language.apply();
