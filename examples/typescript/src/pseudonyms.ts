// Pseudonyms of e-mail addresses, phone numbers and shipping addresses: the same as vouch_client.Pseudonyms in Python.
// Both pass the vectors in clients/pseudonym_vectors.json. Use it on the shop's server: the key is a secret.
import { createHmac } from "node:crypto";
import { domainToASCII } from "node:url";

import phones from "google-libphonenumber";

const SAME_DOMAIN: Record<string, string> = { "googlemail.com": "gmail.com" };
const PLUS_TAGS = new Set(
  ("gmail.com outlook.com hotmail.com live.com msn.com icloud.com me.com mac.com proton.me protonmail.com pm.me " +
    "fastmail.com yandex.com yandex.ru zoho.com").split(" "),
);
const IGNORED: Record<string, string> = { "gmail.com": ".", "proton.me": ".-_", "protonmail.com": ".-_", "pm.me": ".-_" };
const ABBREVIATIONS = new Map(
  Object.entries({
    street: "st", avenue: "ave", av: "ave", road: "rd", boulevard: "blvd", drive: "dr", lane: "ln", court: "ct",
    square: "sq", place: "pl", apartment: "apt", suite: "ste", floor: "fl",
  }),
);

/** Makes email_id, phone_id and shipping_address_id of an order, with the shop's key of 16 bytes or more. */
export class Pseudonyms {
  readonly #key: Buffer;
  readonly #region: string | undefined;

  /** `region` (ISO 3166 alpha-2) is the country of phone numbers that are written without a country code. */
  constructor(key: string | Uint8Array, region?: string) {
    this.#key = Buffer.from(key as string);
    this.#region = region;
    if (this.#key.length < 16) throw new RangeError(`the key has ${this.#key.length} bytes; use 16 or more, from a random source`);
  }

  email(address: string): string {
    return this.#digest("email", normalEmail(address));
  }

  phone(number: string): string {
    return this.#digest("phone", normalPhone(number, this.#region));
  }

  /** Street, postal code, city and country, in this order. */
  shippingAddress(...parts: string[]): string {
    return this.#digest("address", normalAddress(...parts));
  }

  #digest(kind: string, text: string): string {
    return createHmac("sha256", this.#key).update(`${kind}:${text}`).digest("hex");
  }
}

export function normalEmail(address: string): string {
  const text = address.normalize("NFKC").replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, "").toLowerCase();
  const at = text.lastIndexOf("@");
  const name = text.slice(0, Math.max(at, 0));
  const written = text.slice(at + 1).replace(/\.+$/, "");
  const ascii = /^[\x00-\x7f]*$/.test(written) ? written : domainToASCII(written);
  if (!/^[^ \t\r\n]+$/.test(name) || !/^[a-z0-9_-]+([.][a-z0-9_-]+)*$/.test(ascii))
    throw new RangeError("not an e-mail address; expected name@domain");
  const domain = SAME_DOMAIN[ascii] ?? ascii;
  const ignored = IGNORED[domain] ?? "";
  const untagged = PLUS_TAGS.has(domain) ? name.replace(/\+.*$/s, "") : name;
  const own = [...untagged].filter((letter) => !ignored.includes(letter)).join("");
  return `${own || name}@${domain}`;
}

export function normalPhone(number: string, region?: string): string {
  const util = phones.PhoneNumberUtil.getInstance();
  try {
    const parsed = util.parse(number, region);
    if (util.isPossibleNumber(parsed)) return util.format(parsed, phones.PhoneNumberFormat.E164);
  } catch {
    // worded below, without the number
  }
  throw new RangeError("not a phone number; expected digits with a country code, or a region for numbers without one");
}

export function normalAddress(...parts: string[]): string {
  const text = parts.join(" ").toLowerCase().normalize("NFKD").replace(/[\u0300-\u036f]+/g, "").replaceAll("ß", "ss");
  const words = text.split(/[^\p{L}\p{N}\p{M}]+/u).filter((word) => word);
  if (!words.length) throw new RangeError("the address is empty; pass street, postal code, city and country");
  return words.map((word) => (word.endsWith("strasse") ? word.slice(0, -4) : (ABBREVIATIONS.get(word) ?? word))).join(" ");
}
