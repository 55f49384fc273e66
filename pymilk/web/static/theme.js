// Light or dark: as the system says, or as it was chosen. The address keeps it.

import { make, menu } from "./elements.js";

export const THEMES = ["system", "light", "dark"];

export class Theme {
  /** @param {string | null} given  in the address; @param {function()} changed  another one was chosen */
  constructor(given, changed) {
    this.menu = menu(THEMES, "Theme", "system", (word) => {
      this.apply(word);
      changed();
    });
    this.element = make("label", {}, "Theme ", this.menu);
    this.apply(THEMES.includes(given) ? given : "system");
  }

  apply(word) {
    this.word = word;
    this.menu.value = word;
    document.documentElement.dataset.theme = word;
  }
}
