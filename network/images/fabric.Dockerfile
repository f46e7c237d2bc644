# SPDX-License-Identifier: Apache-2.0
# Fabric's programs from scratch, for sites that reach no registry: the names and places of the official images.
# BASE lends one file, Debian's static busybox: a shell for the external builder, and a client for the health check.
ARG BASE=pedigree/base:bookworm
FROM ${BASE} AS base

FROM scratch AS packed
COPY --from=base /bin/busybox /bin/busybox
RUN ["/bin/busybox", "mkdir", "-p", "/etc/hyperledger/fabric", "/var/hyperledger/production", "/tmp", "/usr/bin", "/root"]
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN echo "nobody:x:65534:65534:nobody:/:/bin/false" > /etc/passwd \
 && echo "hyperledger:x:10001:10001:hyperledger:/:/bin/false" >> /etc/passwd \
 && echo "hyperledger:x:10001:" > /etc/group \
 && echo "hosts: files dns" > /etc/nsswitch.conf \
 && chmod 1777 /tmp && chown 10001:10001 /var/hyperledger/production
ENV PATH=/usr/local/bin:/usr/bin:/bin FABRIC_CFG_PATH=/etc/hyperledger/fabric
USER 10001:10001

FROM packed AS peer
COPY peer/ /
EXPOSE 7051
CMD ["peer", "node", "start"]

FROM packed AS orderer
COPY orderer/ /
EXPOSE 7050
CMD ["orderer"]

FROM packed AS ca
COPY ca/ /
ENV FABRIC_CA_HOME=/var/hyperledger/production
EXPOSE 7054
CMD ["fabric-ca-server", "start"]
