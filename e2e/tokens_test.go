package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"
)

// tokenServer gives out the tokens of a registry, as https://distribution.github.io/distribution/spec/auth/token/ says.
type tokenServer struct {
	*httptest.Server
	registry    *privateRegistry // whose user it knows
	certificate string           // path of its certificate, which the registry trusts
	key         *ecdsa.PrivateKey
	der         []byte // of the certificate
}

const tokenIssuer = "belay's tests"

func newTokenServer(p *privateRegistry) (*tokenServer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: tokenIssuer},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	s := &tokenServer{registry: p, certificate: p.path("tokens.pem"), key: key}
	if s.der, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key); err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.der})
	if err := os.WriteFile(s.certificate, text, 0o600); err != nil {
		return nil, err
	}
	s.Server = httptest.NewServer(http.HandlerFunc(s.answer))
	return s, nil
}

// host is HOST:PORT, by a name: many clients go to no address in private that a registry names.
func (s *tokenServer) host() string {
	return strings.Replace(s.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
}

// answer gives the registry's user what is asked for, and nobody else anything.
func (s *tokenServer) answer(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if user != s.registry.user || password != s.registry.password {
		w.Header().Set("WWW-Authenticate", `Basic realm="tokens"`)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
		return
	}
	token, err := s.token(user, r.URL.Query().Get("service"), r.URL.Query()["scope"])
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 300}) //nolint:errcheck // the client went away
}

// token is a JSON Web Token, signed with ES256, for scopes such as "repository:acme/app:pull,push".
func (s *tokenServer) token(user, service string, scopes []string) (string, error) {
	granted := []object{}
	for _, scope := range strings.Fields(strings.Join(scopes, " ")) {
		if parts := strings.SplitN(scope, ":", 3); len(parts) == 3 {
			granted = append(granted, object{"type": parts[0], "name": parts[1], "actions": strings.Split(parts[2], ",")})
		}
	}
	now := time.Now()
	var parts []string
	for _, part := range []object{
		{"typ": "JWT", "alg": "ES256", "x5c": []string{base64.StdEncoding.EncodeToString(s.der)}},
		{
			"iss": tokenIssuer, "sub": user, "aud": service, "jti": fmt.Sprint(now.UnixNano()), "access": granted,
			"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		},
	} {
		text, err := json.Marshal(part)
		if err != nil {
			return "", err
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	signed := strings.Join(parts, ".")
	digest := sha256.Sum256([]byte(signed))
	a, b, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	a.FillBytes(signature[:32])
	b.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
