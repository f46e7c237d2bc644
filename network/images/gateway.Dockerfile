# SPDX-License-Identifier: Apache-2.0
# One organisation's gateway. BASE needs Python 3.11 as `python3`; nothing is fetched while building.
ARG BASE=pedigree/base:bookworm
FROM ${BASE} AS build
LABEL pedigree.stage=build
COPY site/ /opt/pedigree/site/
COPY bin/ /opt/pedigree/bin/
# The file system is read-only at run time, so the bytecode is made here; it is trusted without looking at the source.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/pedigree/site

FROM ${BASE}
COPY --from=build /opt/pedigree/ /opt/pedigree/
ENV PATH=/opt/pedigree/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/pedigree/site \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.title="Pedigree gateway" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /
USER 10001:10001
EXPOSE 8101 8111
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=4 \
  CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8111/healthz', timeout=4)"]
ENTRYPOINT ["pedigree"]
CMD ["--help"]
