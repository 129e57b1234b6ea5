
// --- the table ---

const table = find("table");
const body = table.tBodies[0];
const headings = [...table.tHead.rows[0].cells];

// `num_feat=8` comes before `num_feat=12`
function compareWords(a, b) {
  const [left, right] = [a, b].map((text) => text.split(/[ =]/));
  for (let place = 0; place < Math.min(left.length, right.length); place++) {
    const numbers = left[place] - right[place];
    const found = Number.isNaN(numbers) ? left[place].localeCompare(right[place]) : numbers;
    if (found) return found;
  }
  return left.length - right.length;
}

function sort(column) {
  const heading = headings[column];
  const rising = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of headings) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const compare = heading.classList.contains("number")
    ? (a, b) => value(a) - value(b)
    : (a, b) => compareWords(value(a), value(b));
  const rows = [...body.rows].sort((a, b) => (rising ? compare(a, b) : compare(b, a)));
  body.append(...rows);
}

function filter() {
  const only = find("front-only").checked;
  const rows = [...body.rows];
  for (const row of rows) row.hidden = only && !row.classList.contains("on-front");
  const shown = rows.filter((row) => !row.hidden).length;
  find("shown").textContent = `${shown} of ${rows.length} ${rows.length === 1 ? "student" : "students"}; a heading sorts by its column.`;
}

headings.forEach((heading, column) => heading.firstElementChild.addEventListener("click", () => sort(column)));
find("front-only").addEventListener("change", filter);
filter();

// --- a student is chosen: in the figures, the table and the pictures at once ---

function choose(trial) {
  chosen = trial;
  for (const row of body.rows) row.classList.toggle("chosen", Number(row.dataset.trial) === trial);
  draw(["front", "learning"]);
}

function clicked({ points }) {
  const trial = points[0].customdata;
  if (typeof trial === "number") look(trial);
}

// --- commands ---

async function copy(button) {
  const command = button.previousElementSibling;
  getSelection().selectAllChildren(command); // to be copied by hand where that is refused
  try {
    await navigator.clipboard.writeText(command.textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => copy(button));
