package cluster

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// A thousand Syncs that are kept at once tell of it in a thousand events, each with one request, and nobody waits for
// them. The broadcaster is the one that controller-runtime's recorder has.
func TestABurstOfEventsIsToldWholeAndHoldsNobodyUp(t *testing.T) {
	const most = 1000
	told := make(chan string, 2*most)
	hold := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var event struct{ Note string }
		_ = json.NewDecoder(r.Body).Decode(&event)
		<-hold // the API server is slow
		told <- r.Method + " " + event.Note
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"kind":"Event","apiVersion":"events.k8s.io/v1","metadata":{"name":"x"}}`))
	}))
	defer server.Close()
	clients, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: clients.EventsV1()})
	if err := broadcaster.StartRecordingToSinkWithContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := &reconciler{recorder: broadcaster.NewRecorder(syncScheme(t), "belay"), now: time.Now}
	want := map[string]bool{}
	for n := range most {
		sync := &v1alpha1.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint("app-", n), UID: types.UID(fmt.Sprint(n))}}
		known, _ := r.known(sync)
		note := Note{Type: corev1.EventTypeNormal, Reason: "Kept", Message: fmt.Sprint("release ", n)}
		if _, err := r.tell(t.Context(), sync, known, Report{Events: []Note{note}}); err != nil {
			t.Fatal(err)
		}
		want["POST "+note.Message] = true
	}
	close(hold)
	for len(want) > 0 {
		request := <-told
		if !want[request] {
			t.Errorf("another request: %s", request)
		}
		delete(want, request)
	}
	broadcaster.Shutdown()
	if len(told) > 0 {
		t.Errorf("and another: %s", <-told)
	}
}
