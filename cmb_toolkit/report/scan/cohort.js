"use strict";
// Sorts the table by the value that each cell holds; what has no value comes last either way.
(() => {
  const table = document.getElementById("scans");
  const headings = [...table.tHead.rows[0].cells];
  for (const [column, heading] of headings.entries()) {
    const button = heading.querySelector("button");
    const numbers = button.dataset.kind === "number";
    button.addEventListener("click", () => {
      const falling = heading.getAttribute("aria-sort") === "ascending";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const value = (row) => row.cells[column].dataset.value;
      const rows = [...table.tBodies[0].rows].sort((first, second) => {
        const [a, b] = [value(first), value(second)];
        if (a === "" || b === "") return (a === "") - (b === "");
        const order = numbers ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true });
        return falling ? -order : order;
      });
      table.tBodies[0].append(...rows);
    });
  }
})();
