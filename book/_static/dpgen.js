// Accessibility of generated pages: wide tables say that they go on and can be scrolled with the keyboard, pictures
// below the fold are loaded when they come near, and the bibliography does not announce a list whose children are
// no list items.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  for (const list of document.querySelectorAll(".citation-list[role=list]")) list.removeAttribute("role");
  for (const box of document.querySelectorAll("article pre, article .cell_output")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
  const watcher = new ResizeObserver((entries) => entries.forEach((entry) => mark(entry.target)));
  for (const table of document.querySelectorAll("article table")) {
    table.tabIndex = 0;
    watcher.observe(table);
    mark(table);
  }
});

// A table may become wide later: when its fold opens, or the window narrows.
function mark(table) {
  const wide = table.scrollWidth > table.clientWidth + 1;
  table.classList.toggle("dpgen-wide", wide);
  const before = table.previousElementSibling;
  const hint = before?.classList.contains("dpgen-wide-hint") ? before : null;
  if (wide && !hint) {
    const line = document.createElement("p");
    line.className = "dpgen-wide-hint";
    line.textContent = "Wider than the page: scroll sideways \u2192";
    table.before(line);
  } else if (!wide && hint) hint.remove();
}
