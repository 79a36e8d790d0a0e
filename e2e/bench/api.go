package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"sigs.k8s.io/yaml"
)

// Content types of requests.
const (
	jsonType  = "application/json"
	mergeType = "application/merge-patch+json"
	applyType = "application/apply-patch+yaml"
)

// api is a user's way to the API server.
type api struct {
	server string
	ca     []byte // PEM
	token  string // empty if the TLS certificate says who it is
	client *http.Client
}

// kubeconfig is as much of one as belay-cluster writes.
type kubeconfig struct {
	Clusters []struct {
		Cluster struct {
			Server string `json:"server"`
			CA     []byte `json:"certificate-authority-data"`
		} `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		User struct {
			Certificate []byte `json:"client-certificate-data"`
			Key         []byte `json:"client-key-data"`
		} `json:"user"`
	} `json:"users"`
}

// adminOf is the user of a kubeconfig.
func adminOf(path string) (*api, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var k kubeconfig
	if err := yaml.Unmarshal(text, &k); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(k.Clusters) != 1 || len(k.Users) != 1 {
		return nil, fmt.Errorf("%s: one cluster and one user are expected", path)
	}
	a := &api{server: k.Clusters[0].Cluster.Server, ca: k.Clusters[0].Cluster.CA}
	pair, err := tls.X509KeyPair(k.Users[0].User.Certificate, k.Users[0].User.Key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	a.client = a.newClient(false, 0, pair)
	return a, nil
}

// as is another user's way to the same server, by HTTP/1.1 over so many connections or by HTTP/2 over one.
func (a *api) as(token string, http1 bool, connections int) *api {
	user := &api{server: a.server, ca: a.ca, token: token}
	user.client = user.newClient(http1, connections)
	return user
}

func (a *api) newClient(http1 bool, connections int, pairs ...tls.Certificate) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.ca)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: pairs}, ForceAttemptHTTP2: !http1,
		MaxIdleConnsPerHost: connections, DisableCompression: true,
	}
	if http1 {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	return &http.Client{Transport: transport}
}

// send makes a request. The answer may be a refusal; its body is the caller's to close.
func (a *api) send(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.server+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
	request.Header.Set("User-Agent", "belay-bench")
	return a.client.Do(request)
}

// refusal is an answer of the API server that is no success.
type refusal struct {
	request string
	status  int
	text    string
}

func (r *refusal) Error() string { return fmt.Sprintf("%s: %d: %s", r.request, r.status, r.text) }

// do makes a request and answers the body.
func (a *api) do(ctx context.Context, method, path, contentType string, body []byte) ([]byte, error) {
	response, err := a.send(ctx, method, path, contentType, body)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode/100 != 2 {
		return nil, &refusal{method + " " + path, response.StatusCode, string(text[:min(len(text), 1000)])}
	}
	return text, nil
}

// create makes an object, unless it is there.
func (a *api) create(ctx context.Context, path, text string) error {
	_, err := a.do(ctx, "POST", path, jsonType, []byte(text))
	var refused *refusal
	if errors.As(err, &refused) && refused.status == http.StatusConflict {
		return nil
	}
	return err
}

// get reads an answer into a value.
func (a *api) get(ctx context.Context, path string, into any) error {
	text, err := a.do(ctx, "GET", path, "", nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// writeKubeconfig writes one for a user with a token.
func (a *api) writeKubeconfig(path, token string) error {
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: bench, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: bench, user: {token: %q}}]
contexts: [{name: bench, context: {cluster: bench, user: bench}}]
current-context: bench
`, a.server, base64.StdEncoding.EncodeToString(a.ca), token)
	return os.WriteFile(path, []byte(text), 0o600)
}
