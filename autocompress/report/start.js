
// --- the beginning ---

async function start() {
  await drawAll();
  for (const name of ["front", "learning"]) if (name in data.figures) find("figure-" + name).on("plotly_click", clicked);
}

if (data.pictures) compare();
start();
