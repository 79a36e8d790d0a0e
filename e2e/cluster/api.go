package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// api speaks to an API server, just enough to add nodes and to see that the cluster is ready.
type api struct {
	server string // URL
	client *http.Client
}

func newAPI(server string, a *authority, user keyPair) (*api, error) {
	cert, err := tls.LoadX509KeyPair(user.certFile, user.keyFile)
	if err != nil {
		return nil, fmt.Errorf("reading key pair: %w", err)
	}
	root, err := os.ReadFile(a.certFile)
	if err != nil {
		return nil, fmt.Errorf("reading authority: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}}}
	return &api{server: server, client: &http.Client{Transport: transport, Timeout: 5 * time.Second}}, nil
}

// get reads the JSON at path into the value, or nothing if that is nil.
func (a *api) get(ctx context.Context, path string, into any) error {
	return a.do(ctx, http.MethodGet, path, nil, into)
}

// create posts an object to a collection.
func (a *api) create(ctx context.Context, path string, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("writing object: %w", err)
	}
	return a.do(ctx, http.MethodPost, path, body, nil)
}

func (a *api) do(ctx context.Context, method, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, a.server+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "belay-cluster")
	resp, err := a.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, strings.TrimSpace(string(data)))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(data, into)
}

// serving reports why the API server is not ready.
func (a *api) serving(ctx context.Context) error { return a.get(ctx, "/readyz", nil) }

// peopled reports why the cluster does not take pods into the namespace default: it lacks nodes that are ready
// and without a taint, or the service account that pods run as.
func (a *api) peopled(ctx context.Context, nodes int) error {
	if err := a.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil); err != nil {
		return err
	}
	var list struct {
		Items []struct {
			Spec   struct{ Taints []any }
			Status struct {
				Conditions []struct{ Type, Status, Message string }
			}
		}
	}
	if err := a.get(ctx, "/api/v1/nodes", &list); err != nil {
		return err
	}
	ready, message := 0, "none is there"
	for _, node := range list.Items {
		for _, c := range node.Status.Conditions {
			if c.Type != "Ready" {
				continue
			}
			message = c.Message
			if c.Status == "True" && len(node.Spec.Taints) == 0 {
				ready++
			}
		}
	}
	if ready < nodes {
		return fmt.Errorf("%d of %d nodes take pods; %s", ready, nodes, message)
	}
	return nil
}

// until calls check again and again until it returns nil. It gives up when the time is over, when a part of the
// cluster died, or when ctx is done.
func until(ctx context.Context, what string, within time.Duration, died <-chan error, check func(context.Context) error) error {
	deadline := time.After(within)
	for {
		cause := check(ctx)
		if cause == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-died:
			return err
		case <-deadline:
			return fmt.Errorf("waiting %s for %s: %w", within, what, cause)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
