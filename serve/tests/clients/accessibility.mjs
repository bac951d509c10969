// What axe finds, errors of the console and overflow, on pages at phone and desktop width, light
// and dark. Ends with 1 where there is any.
//   npm i playwright-core axe-core && CHROMIUM=chromium node accessibility.mjs http://127.0.0.1:8080 file:///report.html
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const executablePath = process.env.CHROMIUM;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
let found = 0;
for (const url of process.argv.slice(2)) {
  for (const width of [390, 1280]) {
    for (const colorScheme of ["light", "dark"]) {
      // The policy of the page lets no script of others in, axe included.
      const viewport = { width, height: 900 };
      const context = await browser.newContext({ bypassCSP: true, viewport, colorScheme });
      const page = await context.newPage();
      const wrong = [];
      page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
      page.on("pageerror", (error) => wrong.push(String(error)));
      await page.goto(url, { waitUntil: "networkidle" });
      await page.evaluate(axe);
      const result = await page.evaluate(() => window.axe.run());
      for (const { id, nodes } of result.violations) wrong.push(`${id}: ${nodes[0].target}`);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (over > 0) wrong.push(`${over} pixels too wide`);
      console.log(url, width, colorScheme, wrong.length ? wrong : "clean");
      found += wrong.length;
    }
  }
}
await browser.close();
process.exit(found ? 1 : 0);
