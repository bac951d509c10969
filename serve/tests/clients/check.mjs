// The `openai` npm package, unchanged, against a running service:
//   npm i openai && node check.mjs http://127.0.0.1:8080 minilm
import assert from "node:assert";
import OpenAI from "openai";

const [base, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: "none" });
const input = ["the film moved me", "the invoice is due"];
const plain = await fetch(`${base}/embed`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ inputs: input }),
}).then((response) => response.json());
const { data } = await client.embeddings.create({ model, input });
data.forEach(({ embedding }, i) =>
  embedding.forEach((value, j) => assert(Math.abs(value - plain[i][j]) < 1e-5)),
);
await assert.rejects(client.embeddings.create({ model: "none", input }), { status: 404 });
console.log("openai agrees");
