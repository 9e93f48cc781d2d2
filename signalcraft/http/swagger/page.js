// The page of the API: Swagger UI over this box's own description. No inline script, nothing from another server.
"use strict";

const SAFE = ["GET", "HEAD", "OPTIONS"];

// Whoever is signed in here can try a change out: their token against forged requests goes along, as in the dashboard.
async function withToken(request) {
  const own = new URL(request.url, location.href).origin === location.origin;
  if (!own || SAFE.includes((request.method || "GET").toUpperCase()) || request.headers.Authorization) return request;
  const me = await fetch("/api/auth/me", { headers: { accept: "application/json" } });
  if (me.ok) request.headers["X-CSRF-Token"] = (await me.json()).csrf_token;
  return request;
}

window.ui = SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  validatorUrl: null,
  defaultModelsExpandDepth: -1,
  tryItOutEnabled: false,
  persistAuthorization: false,
  syntaxHighlight: { activated: false },
  requestInterceptor: withToken,
});
