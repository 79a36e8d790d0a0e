package registry

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/crypto/bcrypt"
)

// startDockerRegistry runs Debian's docker-registry behind a server that counts. More is the part of its configuration
// that says who may read.
func startDockerRegistry(t *testing.T, more string) *server {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		if strings.Contains(os.Getenv("BELAY_REQUIRE"), "docker-registry") {
			t.Fatal("docker-registry is required and not there: apt-get install -y docker-registry")
		}
		t.Skip("docker-registry is not there: apt-get install -y docker-registry")
	}
	dir := t.TempDir()
	socket, config := filepath.Join(dir, "socket"), filepath.Join(dir, "config.yml")
	text := `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {inmemory: {}, delete: {enabled: true}}
http: {net: unix, addr: ` + socket + `, secret: x, relativeurls: true}
` + more
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	command := exec.CommandContext(t.Context(), program, "serve", config)
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() { _ = command.Process.Kill(); <-ended })
	awaitSocket(t, socket, ended, &said)

	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "registry"})
	proxy.ErrorLog = silent
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	server := serve(t)
	server.registry = proxy
	return server
}

// awaitSocket returns as soon as somebody listens.
func awaitSocket(t *testing.T, socket string, ended chan error, said *bytes.Buffer) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("docker-registry ended: %v\n%s", err, said)
		case <-deadline:
			t.Fatal("docker-registry does not listen")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// pushAs pushes an image as somebody who may.
func (s *server) pushAs(ref, username, password string, image v1.Image) string {
	s.t.Helper()
	return s.pushImage(ref, image, remote.WithAuth(&authn.Basic{Username: username, Password: password}))
}

func TestDockerRegistryWithoutSignIn(t *testing.T) {
	server := startDockerRegistry(t, "")
	digest, index := server.push("shop/cart:1"), server.pushIndex("shop/till:1", "linux/arm64")
	resolver := server.resolver(t, Options{Platforms: nodes("linux/arm64")})
	images := server.images([]string{"shop/cart:1", "shop/till:1"})
	got, err := resolver.Resolve(t.Context(), ask(images...), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{images[0]: digest, images[1]: index}, digests(got)); diff != "" {
		t.Error("digests (-want +got):\n" + diff)
	}
	server.expect(
		"GET /v2/",
		"HEAD /v2/shop/cart/manifests/1", "GET /v2/shop/cart/manifests/"+digest,
		"HEAD /v2/shop/till/manifests/1", "GET /v2/shop/till/manifests/"+index,
	)
	if e := server.fail(t, Options{Platforms: nodes("linux/amd64")}, "shop/till:1"); e.Reason != PlatformMissing {
		t.Errorf("got %v", e)
	}
	if e := server.fail(t, Options{}, "shop/cart:2"); e.Reason != NotFound {
		t.Errorf("got %v", e)
	}

	pinned := server.host + "/shop/cart@" + digest
	if missing, err := resolver.Missing(t.Context(), ask(pinned), time.Now()); err != nil || len(missing) != 0 {
		t.Errorf("got %v, %v", missing, err)
	}
	if err := remote.Delete(server.reference("shop/cart@" + digest)); err != nil {
		t.Fatal(err)
	}
	server.forget()
	if missing, err := resolver.Missing(t.Context(), ask(pinned), time.Now()); err != nil || len(missing) != 1 {
		t.Errorf("got %v, %v", missing, err)
	}
	server.expect("HEAD /v2/shop/cart/manifests/" + digest)
}

func TestDockerRegistryWithBasicAuthentication(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("pw"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	htpasswd := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(htpasswd, []byte("ana:"+string(hash)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := startDockerRegistry(t, "auth: {htpasswd: {realm: x, path: "+htpasswd+"}}\n")
	digest := server.pushAs("shop/cart:1", "ana", "pw", randomImage(t))
	image := server.host + "/shop/cart:1"
	good := source("Secret shop/good", login(t, server.host, "ana", "pw"))
	bad := source("Secret shop/bad", login(t, server.host, "ana", "hunter2"))

	resolver := server.resolver(t, Options{Credentials: []*Credentials{good}})
	got, err := resolver.Resolve(t.Context(), []Query{{image, []*Credentials{bad}}}, time.Now())
	if err != nil || got[image].Digest != digest || got[image].Source != "Secret shop/good" {
		t.Errorf("got %v, %v", got, err)
	}
	head := "HEAD /v2/shop/cart/manifests/1"
	server.expect("GET /v2/", head, head, "GET /v2/shop/cart/manifests/"+digest)

	for want, credentials := range map[string][]*Credentials{
		server.host + " refused the credentials of Secret shop/bad; they must allow to pull it": {bad},
		"no credentials for " + server.host + " were found":                                     nil,
	} {
		server.forget()
		_, err := server.resolver(t, Options{}).Resolve(t.Context(), []Query{{image, credentials}}, time.Now())
		if e := firstError(t, err); e.Reason != Unauthorized || !strings.HasPrefix(e.Detail, want) || strings.Contains(e.Error(), "hunter2") {
			t.Errorf("got %v, want %s", e, want)
		}
		server.expect("GET /v2/", head)
	}
}

func TestDockerRegistryWithATokenServer(t *testing.T) {
	tokens := newTokenServer(t)
	server := startDockerRegistry(t, tokens.config)
	cart, till := server.pushAs("shop/cart:1", "ana", "pw", randomImage(t)), server.pushAs("shop/till:1", "ana", "pw", randomImage(t))
	two := server.pushAs("shop/cart:2", "ana", "pw", randomImage(t))
	clock := &clock{time.Now()} // the registry has one too
	resolver := server.resolverAt(t, Options{Insecure: []string{tokens.host}, Credentials: login(t, server.host, "ana", "pw")}, clock.now)
	resolve := func(image, want string) {
		t.Helper()
		image = server.host + "/" + image
		got, err := resolver.Resolve(t.Context(), ask(image), clock.now())
		if err != nil || got[image].Digest != want {
			t.Errorf("got %v, %v", got, err)
		}
	}
	tokens.forget()
	resolve("shop/cart:1", cart)
	server.expect("GET /v2/", "HEAD /v2/shop/cart/manifests/1", "GET /v2/shop/cart/manifests/"+cart)
	tokens.expect("GET /token")

	server.forget()
	resolve("shop/cart:2", two) // of a repository that has its token
	server.expect("HEAD /v2/shop/cart/manifests/2", "GET /v2/shop/cart/manifests/"+two)
	tokens.expect("GET /token")

	resolve("shop/till:1", till) // of one that has none
	tokens.expect("GET /token", "GET /token")

	server.forget()
	clock.Time = clock.Add(10 * time.Minute)
	resolve("shop/cart:1", cart)
	server.expect("HEAD /v2/shop/cart/manifests/1")
	tokens.expect("GET /token", "GET /token", "GET /token")

	e := server.fail(t, Options{Insecure: []string{tokens.host}, Credentials: login(t, server.host, "ana", "hunter2")}, "shop/cart:1")
	if e.Reason != Unauthorized || !strings.Contains(e.Detail, "refused the credentials of Docker config of ana") || strings.Contains(e.Error(), "hunter2") {
		t.Errorf("got %v", e)
	}
	// Whoever comes without credentials gets a token too, as on Docker Hub, and it is good for nothing here.
	if e := server.fail(t, Options{Insecure: []string{tokens.host}}, "shop/cart:1"); e.Reason != Unauthorized || !strings.HasPrefix(e.Detail, "no credentials for") {
		t.Errorf("got %v", e)
	}
	// Nobody has said that tokens may be fetched by plain HTTP.
	if e := server.fail(t, Options{Credentials: login(t, server.host, "ana", "pw")}, "shop/cart:1"); e.Reason != AddressRefused {
		t.Errorf("got %v", e)
	}
}

// tokenServer makes tokens for a registry, by the protocol of
// https://distribution.github.io/distribution/spec/auth/jwt/
type tokenServer struct {
	*server
	config string // of the registry that believes it
	key    *rsa.PrivateKey
	chain  []string
}

func newTokenServer(t *testing.T) *tokenServer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tokens"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &tokenServer{server: serve(t), key: key, chain: []string{base64.StdEncoding.EncodeToString(certificate)}}
	s.on("GET /token", s.token)
	s.host = "localhost" + s.host[strings.LastIndex(s.host, ":"):] // package transport takes no address of this machine
	s.config = "auth: {token: {realm: \"http://" + s.host + "/token\", service: belay-test, issuer: tokens, rootcertbundle: " + bundle + "}}\n"
	return s
}

// token answers everybody, and lets ana alone into repositories.
func (s *tokenServer) token(w http.ResponseWriter, r *http.Request) {
	user, password, signedIn := r.BasicAuth()
	if signedIn && (user != "ana" || password != "pw") {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	type access struct {
		Type    string   `json:"type"`
		Name    string   `json:"name"`
		Actions []string `json:"actions"`
	}
	granted := []access{}
	for _, scope := range r.URL.Query()["scope"] {
		if part := strings.Split(scope, ":"); signedIn && len(part) == 3 {
			granted = append(granted, access{part[0], part[1], strings.Split(part[2], ",")})
		}
	}
	now := time.Now()
	token, err := s.sign(map[string]any{
		"iss": "tokens", "sub": user, "aud": r.URL.Query().Get("service"), "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix(), "access": granted,
	})
	if err != nil {
		s.t.Error(err)
	}
	if err := json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 300}); err != nil {
		s.t.Error(err)
	}
}

// sign makes a JSON Web Token (RFC 7519), signed with RS256 (RFC 7518, 3.3).
func (s *tokenServer) sign(claims map[string]any) (string, error) {
	var parts []string
	for _, part := range []any{map[string]any{"typ": "JWT", "alg": "RS256", "x5c": s.chain}, claims} {
		text, err := json.Marshal(part)
		if err != nil {
			return "", err
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, ".")))
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return strings.Join(append(parts, base64.RawURLEncoding.EncodeToString(signature)), "."), nil
}
