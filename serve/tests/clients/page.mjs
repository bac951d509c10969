// The page in a headless Chromium: teaches, predicts, undoes, reloads.
//   npm i playwright && node page.mjs http://127.0.0.1:8080 FOLDER_OF_SCREENSHOTS [CHROMIUM]
import assert from "node:assert";
import { chromium } from "playwright";

const [base, folder, executablePath] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
const wrong = [];
page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
page.on("pageerror", (error) => wrong.push(String(error)));
page.on("request", (request) => {
  const known = [base, "data:", "blob:"].some((start) => request.url().startsWith(start));
  if (!known) wrong.push(request.url());
});
const name = `page-${Date.now()}`;
await page.goto(base);
await page.waitForFunction(() => document.getElementById("status").textContent !== "");
if (await page.locator("#create").isHidden()) await page.click("#new");
await page.fill("#name", name);
await page.click("#create button");
await page.waitForFunction((name) => document.getElementById("status").textContent.startsWith(name), name);

const classes = {
  film: ["a moving film", "the actors were great", "a dull plot", "best movie of the year"],
  mail: ["the invoice is due", "win money now", "your parcel is here", "meeting at ten"],
  food: ["boil the pasta", "a pinch of salt", "bake the bread", "fresh tomatoes"],
};
for (const [label, texts] of Object.entries(classes)) {
  await page.fill("#text", texts.join("\n"));
  await page.fill("#class", label);
  await page.click("#class-form button");
  await page.waitForFunction(
    (label) => document.getElementById("status").textContent === `Taught 4 as ${label}.`,
    label,
  );
  await page.locator("#classes button", { hasText: label }).waitFor();
}
await page.fill("#text", "a film with great actors");
await page.locator("#bars li").first().waitFor();
assert.match(await page.locator("#bars li").first().innerText(), /film/);
await page.click("#undo");
await page.waitForFunction(() => document.querySelectorAll("#classes button").length === 2);
await page.reload();
await page.waitForFunction(() => document.querySelectorAll("#examples li").length === 8);
assert.equal(await page.locator("#map circle").count(), 8);
await page.fill("#text", "the plot was dull");
await page.locator("#bars li").first().waitFor();
await page.screenshot({ path: `${folder}/desktop.png`, fullPage: true });
await page.setViewportSize({ width: 390, height: 844 });
await page.screenshot({ path: `${folder}/phone.png`, fullPage: true });
const wide = await page.evaluate(() => document.documentElement.scrollWidth);
assert(wide <= 390, `the page is ${wide} pixels wide on a phone`);
await browser.close();
assert.deepEqual(wrong, []);
console.log("the page works");
