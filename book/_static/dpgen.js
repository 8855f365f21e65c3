// Accessibility of generated pages: wide tables can be scrolled with the keyboard, and the bibliography does
// not announce a list whose children are no list items.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  for (const list of document.querySelectorAll(".citation-list[role=list]")) list.removeAttribute("role");
  for (const box of document.querySelectorAll("article table, article pre, article .cell_output")) {
    if (box.scrollWidth > box.clientWidth || box.tagName === "TABLE") box.tabIndex = 0;
  }
});
