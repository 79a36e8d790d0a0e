package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// api asks the API server as the cluster's administrator, without a process for each question.
type api struct {
	server string
	client *http.Client
}

func newAPI(kubeconfig string) (api, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return api{}, err
	}
	client, err := rest.HTTPClientFor(config)
	return api{config.Host, client}, err
}

// ask makes a request and reads the answer into answer.
func (a api) ask(t *testing.T, method, path, contentType, body string, answer any) {
	t.Helper()
	if err := a.try(t.Context(), method, path, contentType, body, answer); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

// try makes a request that may fail.
func (a api) try(ctx context.Context, method, path, contentType, body string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, a.server+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", contentType)
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	if err == nil {
		err = json.Unmarshal(text, answer)
	}
	return err
}

func (a api) get(t *testing.T, path string, answer any) {
	t.Helper()
	a.ask(t, http.MethodGet, path, "", "", answer)
}
