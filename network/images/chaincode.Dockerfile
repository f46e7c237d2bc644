# SPDX-License-Identifier: Apache-2.0
# One organisation's own chaincode process. BASE needs Python 3.11 as `python3`; nothing is fetched while building.
ARG BASE=pedigree/base:bookworm
FROM ${BASE} AS build
LABEL pedigree.stage=build
COPY site/ /opt/pedigree/site/
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/pedigree/site

FROM ${BASE}
COPY --from=build /opt/pedigree/ /opt/pedigree/
ENV PATH=/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/pedigree/site \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CHAINCODE_SERVER_ADDRESS=0.0.0.0:7052 \
    CHAINCODE_HEALTH_ADDRESS=127.0.0.1:8090
LABEL org.opencontainers.image.title="Pedigree chaincode" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /
USER 10001:10001
EXPOSE 7052
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=4 \
  CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8090/healthz', timeout=4)"]
ENTRYPOINT ["python3", "-m", "chaincode"]
