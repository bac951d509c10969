// Pictures of a report's maps and of its accuracy against labels:
//
//     node pictures.mjs REPORT.html NAME
//
// writes NAME-map.png and NAME-labels.png beside this file. Needs the npm package playwright, and
// its Chromium or the one that the variable CHROMIUM names.
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

// As `require` does, it looks in NODE_PATH too.
const { chromium } = createRequire(import.meta.url)("playwright");

const here = dirname(fileURLToPath(import.meta.url));
const [report, name] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage({ viewport: { width: 1000, height: 800 } });
  await page.goto(pathToFileURL(resolve(report)).href);
  const maps = page.locator(".pair", { hasText: "map by PCA" }).first();
  await maps.screenshot({ path: join(here, `${name}-map.png`) });
  const labels = page.locator("figure", { hasText: "Accuracy against labels" }).locator("svg");
  await labels.first().screenshot({ path: join(here, `${name}-labels.png`) });
} finally {
  await browser.close();
}
