// FAULTS, Agent: SIGTERM.
// SIGTERM: finishes the current object, and begins no other.

package cluster

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

func TestAWriteThatHasBegunIsFinishedAndNoOtherBegun(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	written := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			end()
			<-ended
			written++
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"vars","resourceVersion":"7"}}`))
	}))
	defer server.Close()
	context.AfterFunc(ctx, func() { close(ended) })

	config := &rest.Config{Host: server.URL}
	config.Wrap(finishing)
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	configMaps := client.Resource(secrets.GroupVersion().WithResource("configmaps")).Namespace("shop")
	patch := func() (string, error) {
		u, err := configMaps.Patch(ctx, "vars", types.MergePatchType, []byte(`{}`), metav1.PatchOptions{})
		if err != nil {
			return "", err
		}
		return u.GetResourceVersion(), nil
	}
	if version, err := patch(); err != nil || version != "7" {
		t.Errorf("the write that had begun: %q, %v", version, err)
	}
	if _, err := patch(); !errors.Is(err, context.Canceled) || written != 1 {
		t.Errorf("another: %v, %d written", err, written)
	}
	if _, err := configMaps.Get(ctx, "vars", metav1.GetOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a read: %v", err)
	}
}
