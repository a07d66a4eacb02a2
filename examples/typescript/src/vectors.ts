// Check the shared vectors of pseudonyms: npm run vectors -- FILE. It prints the number of vectors; the first difference is an error.
import { strictEqual, throws } from "node:assert";
import { readFileSync } from "node:fs";

import { normalAddress, normalEmail, normalPhone, Pseudonyms } from "./pseudonyms.js";

type Vector = { kind: "email" | "phone" | "shipping_address"; input: string[]; normal?: string; pseudonym?: string };
const [path = "../../clients/pseudonym_vectors.json"] = process.argv.slice(2);
const { key, region, vectors } = JSON.parse(readFileSync(path, "utf8")) as { key: string; region: string; vectors: Vector[] };
const pseudonyms = new Pseudonyms(key, region);
const functions = {
  email: [(...input: string[]) => normalEmail(input[0]!), (...input: string[]) => pseudonyms.email(input[0]!)],
  phone: [(...input: string[]) => normalPhone(input[0]!, region), (...input: string[]) => pseudonyms.phone(input[0]!)],
  shipping_address: [normalAddress, (...input: string[]) => pseudonyms.shippingAddress(...input)],
} as const;

for (const { kind, input, normal, pseudonym } of vectors) {
  const [normalise, make] = functions[kind];
  if (normal === undefined) throws(() => make(...input), RangeError, `${kind} ${input}`);
  else {
    strictEqual(normalise(...input), normal);
    strictEqual(make(...input), pseudonym);
  }
}
console.log(vectors.length);
