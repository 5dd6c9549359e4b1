// Encrypts numbers as an app would, with nothing but WebCrypto: a compact JWE (ECDH-ES, A256GCM) and HPKE
// (X25519, HKDF-SHA256, AES-256-GCM, base mode). Reads {"keys": [...], "numbers": [...]} and writes {"jwe": [...],
// "hpke": [...]}.
"use strict";
const { subtle } = globalThis.crypto;
const utf8 = (text) => new TextEncoder().encode(text);
const base64 = (bytes) => Buffer.from(bytes).toString("base64url");
const join = (...parts) => Uint8Array.from(Buffer.concat(parts.map((part) => Buffer.from(part))));
const be = (value, bytes) => Uint8Array.from({ length: bytes }, (_, n) => (value / 2 ** (8 * (bytes - 1 - n))) & 255);

async function gcm(key, iv, aad, plain) {
  const secret = await subtle.importKey("raw", key, "AES-GCM", false, ["encrypt"]);
  return new Uint8Array(await subtle.encrypt({ name: "AES-GCM", iv, additionalData: aad }, secret, plain));
}

// RFC 7516 and RFC 7518, section 4.6.
async function jwe(key, number) {
  const curve = { name: "ECDH", namedCurve: "P-256" };
  const { kty, crv, x, y } = key;
  const theirs = await subtle.importKey("jwk", { kty, crv, x, y }, curve, false, []);
  const own = await subtle.generateKey(curve, true, ["deriveBits"]);
  const z = await subtle.deriveBits({ name: "ECDH", public: theirs }, own.privateKey, 256);
  const party = (text) => join(be(text.length, 4), utf8(text));
  const info = join(be(1, 4), z, party("A256GCM"), party("app"), party(""), be(256, 4));
  const secret = await subtle.digest("SHA-256", info);
  // As WebCrypto exports it, with `ext` and `key_ops`.
  const epk = await subtle.exportKey("jwk", own.publicKey);
  const header = base64(utf8(JSON.stringify({ alg: "ECDH-ES", enc: "A256GCM", kid: key.kid, apu: base64(utf8("app")), epk })));
  const iv = globalThis.crypto.getRandomValues(new Uint8Array(12));
  const sealed = await gcm(secret, iv, utf8(header), utf8(number));
  return [header, "", base64(iv), base64(sealed.slice(0, -16)), base64(sealed.slice(-16))].join(".");
}

async function hmac(key, data) {
  const secret = await subtle.importKey("raw", key.length ? key : new Uint8Array(32), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await subtle.sign("HMAC", secret, data));
}

// RFC 9180, section 4: labelled HKDF; no output is longer than one block.
const labelled = (suite) => ({
  extract: (salt, label, ikm) => hmac(salt, join(utf8("HPKE-v1"), suite, utf8(label), ikm)),
  expand: async (prk, label, info, length) =>
    (await hmac(prk, join(be(length, 2), utf8("HPKE-v1"), suite, utf8(label), info, [1]))).slice(0, length),
});

// RFC 9180, sections 4.1 and 5.1.
async function hpke(key, number) {
  const none = new Uint8Array(0);
  const raw = Uint8Array.from(Buffer.from(key.x, "base64url"));
  const theirs = await subtle.importKey("raw", raw, "X25519", false, []);
  const own = await subtle.generateKey("X25519", true, ["deriveBits"]);
  const enc = new Uint8Array(await subtle.exportKey("raw", own.publicKey));
  const dh = new Uint8Array(await subtle.deriveBits({ name: "X25519", public: theirs }, own.privateKey, 256));
  const kem = labelled(join(utf8("KEM"), be(0x20, 2)));
  const shared = await kem.expand(await kem.extract(none, "eae_prk", dh), "shared_secret", join(enc, raw), 32);
  const all = labelled(join(utf8("HPKE"), be(0x20, 2), be(1, 2), be(2, 2)));
  const ids = await all.extract(none, "psk_id_hash", none);
  const context = join([0], ids, await all.extract(none, "info_hash", utf8(key.info)));
  const secret = await all.extract(shared, "secret", none);
  const sealed = await gcm(
    await all.expand(secret, "key", context, 32),
    await all.expand(secret, "base_nonce", context, 12),
    utf8(key.kid),
    utf8(number),
  );
  return `hpke:${key.kid}.${base64(enc)}.${base64(sealed)}`;
}

async function main() {
  let text = "";
  for await (const part of process.stdin) text += part;
  const { keys, numbers } = JSON.parse(text);
  const of = (kty) => keys.find((key) => key.kty === kty && key.use === "enc");
  console.log(
    JSON.stringify({
      jwe: await Promise.all(numbers.map((number) => jwe(of("EC"), number))),
      hpke: await Promise.all(numbers.map((number) => hpke(of("OKP"), number))),
    }),
  );
}

main();
