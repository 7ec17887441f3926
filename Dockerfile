# syntax=docker/dockerfile:1

# Production dependencies alone. embedded-postgres, the server for development machines, is optional
# and stays out (about 60 MB): in production DATABASE_URL names the server. Nothing that is left
# has an install script.
FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM node:24-bookworm-slim
# What node compiles is kept with the image: a container starts in two thirds of the time, 20 MB
# smaller. Requests leave garbage that is young: 16 MB for it instead of 32 save 90 MB.
ENV NODE_ENV=production PORT=8080 NODE_COMPILE_CACHE=/app/node_modules/.cache/compiled \
  NODE_OPTIONS=--max-semi-space-size=16
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json ./
COPY migrations ./migrations
COPY src ./src
RUN ["node", "src/main.ts", "serve", "--help"]
USER node
EXPOSE 8080
STOPSIGNAL SIGTERM
# Alive means that the process answers; /readyz also asks the database, and is for the load balancer.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "src/main.ts"]
CMD ["serve"]
