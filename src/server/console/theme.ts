// Loaded before the page is drawn, so that it does not flash in the other theme.
import { applyTheme, storedTheme } from './theme-choice.js';

applyTheme(storedTheme());
