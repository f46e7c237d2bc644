// SPDX-License-Identifier: Apache-2.0
// An issuer of OpenID Connect that others wrote: it gives client credentials access tokens (JWT, RFC 9068) signed with ES256.
// It prints its port.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const port = server.address().port;
  const issuer = `http://127.0.0.1:${port}`;
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...key, use: 'sig', alg: 'ES256', kid: 'issuer-1' }] },
    clients: [{
      client_id: 'trainer', client_secret: 'a-secret-of-the-test', grant_types: ['client_credentials'],
      redirect_uris: [], response_types: [], scope: 'ledger.read ledger.write',
    }],
    scopes: ['ledger.read', 'ledger.write'],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'https://pedigree.lab.example',
        getResourceServerInfo: () => ({
          scope: 'ledger.read ledger.write', audience: 'https://pedigree.lab.example', accessTokenFormat: 'jwt',
          accessTokenTTL: 300, jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
  server.on('request', provider.callback());
  console.log(port);
});
