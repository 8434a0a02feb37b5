// Signing in: Authorization Code with PKCE (RFC 7636), as a public client.
//
// Tokens lie in sessionStorage: a reload keeps them, another tab does not see them, and they go with the
// tab. No script but this origin's own can run here (the page's Content-Security-Policy), so nothing that
// an agent says can read them.

const ATTEMPT = "artcafe.attempt";
const TOKENS = "artcafe.tokens";
const EARLY = 60_000; // ms before its end in which a token is renewed

export class SignedOut extends Error {}

let renewing = null;

export async function config() {
  const answer = await fetch("../api/v1/auth/config", { credentials: "omit" });
  if (!answer.ok) {
    throw new Error((await problem(answer)) ?? "This platform cannot be asked how to sign in.");
  }
  return answer.json();
}

/** Leave for the issuer's page. */
export async function signIn() {
  const issuer = await config();
  const attempt = { state: random(), nonce: random(), verifier: random() + random() };
  sessionStorage.setItem(ATTEMPT, JSON.stringify(attempt));
  const address = new URL(issuer.authorization_endpoint);
  const asked = {
    response_type: "code",
    client_id: issuer.client_id,
    redirect_uri: here(),
    scope: issuer.scopes.join(" "),
    state: attempt.state,
    nonce: attempt.nonce,
    code_challenge: await challenge(attempt.verifier),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(asked)) address.searchParams.set(name, value);
  if (!["http:", "https:"].includes(address.protocol)) throw new Error("The issuer has no page.");
  location.assign(address);
}

/** Take what the issuer sent along, if this page was opened with it. Throws what people should read. */
export async function takeAnswer() {
  const said = new URLSearchParams(location.search);
  if (!said.has("code") && !said.has("error")) return;
  // Neither a reload nor the history gets it again.
  history.replaceState(null, "", here());
  const attempt = JSON.parse(sessionStorage.getItem(ATTEMPT) ?? "null");
  sessionStorage.removeItem(ATTEMPT);
  if (attempt === null || said.get("state") !== attempt.state) {
    throw new Error("That answer was not for a sign-in from this tab. Sign in again.");
  }
  const issuer = await config();
  const named = said.get("iss");
  if (named === null ? issuer.authorization_response_iss_parameter_supported : named !== issuer.issuer) {
    throw new Error("That answer came from another issuer. Sign in again.");
  }
  if (said.has("error")) {
    throw new Error(
      said.get("error") === "access_denied" ? "You said no. Nobody is signed in." : "The issuer refused to sign you in."
    );
  }
  const given = await ask(issuer, {
    grant_type: "authorization_code",
    code: said.get("code"),
    redirect_uri: here(),
    code_verifier: attempt.verifier,
  });
  if (given.id_token !== undefined && claims(given.id_token).nonce !== attempt.nonce) {
    throw new Error("The issuer answered another question. Sign in again.");
  }
  keep(given, null);
}

export function isSignedIn() {
  return sessionStorage.getItem(TOKENS) !== null;
}

/** The access token, renewed when it is about to end; `rejected` is one that the server refused already. */
export async function token(rejected = null) {
  const held = JSON.parse(sessionStorage.getItem(TOKENS) ?? "null");
  if (held === null) throw new SignedOut("You are signed out.");
  if (held.access !== rejected && held.expires - EARLY > Date.now()) return held.access;
  renewing ??= renew(held).finally(() => (renewing = null));
  return renewing;
}

async function renew(held) {
  try {
    if (!held.refresh) throw new SignedOut("Your sign-in is over.");
    const given = await ask(await config(), { grant_type: "refresh_token", refresh_token: held.refresh });
    return keep(given, held.refresh);
  } catch (fault) {
    if (fault instanceof SignedOut) sessionStorage.removeItem(TOKENS);
    throw fault;
  }
}

/** Forget the tokens, end them where the issuer can, and leave its own session where it has one. */
export async function signOut() {
  const held = JSON.parse(sessionStorage.getItem(TOKENS) ?? "null");
  sessionStorage.removeItem(TOKENS);
  const issuer = await config();
  if (held?.refresh && issuer.revocation_endpoint) {
    const form = new URLSearchParams({ client_id: issuer.client_id, token: held.refresh });
    const answer = await fetch(issuer.revocation_endpoint, { method: "POST", body: form, credentials: "omit" });
    await answer.text();
  }
}

async function ask(issuer, fields) {
  const answer = await fetch(issuer.token_endpoint, {
    method: "POST",
    body: new URLSearchParams({ client_id: issuer.client_id, ...fields }),
    credentials: "omit",
    redirect: "error",
  });
  if (answer.ok) return answer.json();
  const said = await answer.json().catch(() => ({}));
  // Any other word, and none at all, says that something else is wrong (RFC 6749 section 5.2).
  if (said.error === "invalid_grant") throw new SignedOut("Your sign-in is over.");
  throw new Error("The issuer does not answer right now.");
}

function keep(given, refresh) {
  const expires = Date.now() + 1000 * (given.expires_in ?? 300);
  const held = { access: given.access_token, refresh: given.refresh_token ?? refresh, expires };
  sessionStorage.setItem(TOKENS, JSON.stringify(held));
  return held.access;
}

/** The detail of a problem document, if it is one. */
export async function problem(answer) {
  try {
    return (await answer.json()).detail;
  } catch {
    return undefined;
  }
}

function here() {
  return location.origin + location.pathname;
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

async function challenge(verifier) {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function claims(jwt) {
  return JSON.parse(atob(jwt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
}
