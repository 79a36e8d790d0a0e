package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// backend is what the Deployment "webhook" of a large application serves: admission, and an API. Nothing runs in a simulated
// pod, so that it is in the test's process, and answers only while the Deployment's pods do.
type backend struct {
	*httptest.Server
	app   shape
	api   api
	asked atomic.Int64 // admissions that it answered
	away  atomic.Int64 // requests that found nobody there
}

func newBackend(t *testing.T, a api, app shape) *backend {
	t.Helper()
	b := &backend{app: app, api: a}
	b.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !b.isUp(r.Context()) {
			b.away.Add(1)
			panic(http.ErrAbortHandler)
		}
		b.serve(w, r)
	}))
	b.Config.ErrorLog = discarded
	t.Cleanup(b.Close)
	return b
}

// isUp tells whether the pods run, of the newest template.
func (b *backend) isUp(ctx context.Context) bool {
	var webhook struct {
		Metadata struct{ Generation int }
		Status   struct{ ObservedGeneration, AvailableReplicas, UpdatedReplicas int }
	}
	err := b.api.try(ctx, http.MethodGet, "/apis/apps/v1/namespaces/"+b.app.namespace()+"/deployments/webhook", "", "", &webhook)
	s := webhook.Status
	return err == nil && s.ObservedGeneration == webhook.Metadata.Generation && s.AvailableReplicas > 0 && s.UpdatedReplicas > 0
}

// authority is what the server's certificate is to be checked by, as a webhook's caBundle has it.
func (b *backend) authority() string {
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.Certificate().Raw}))
}

func (b *backend) port() int {
	at, _ := url.Parse(b.URL) // httptest made it
	port, _ := strconv.Atoi(at.Port())
	return port
}

// markedBy is the annotation that the mutating webhook adds, and without which the validating one denies.
const markedBy = "example.io~1marked"

func (b *backend) serve(w http.ResponseWriter, r *http.Request) {
	var answer object
	switch {
	case r.URL.Path == "/mutate" || r.URL.Path == "/validate":
		var review struct {
			Request struct {
				UID    string
				Object struct {
					Metadata struct{ Annotations map[string]string }
				}
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		b.asked.Add(1)
		response := object{"uid": review.Request.UID, "allowed": true}
		if _, marked := review.Request.Object.Metadata.Annotations["example.io/marked"]; r.URL.Path == "/validate" {
			response["allowed"] = marked
		} else if !marked {
			response["patchType"] = "JSONPatch"
			response["patch"] = []byte(`[{"op":"add","path":"/metadata/annotations/` + markedBy + `","value":"yes"}]`)
		}
		answer = object{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
	case strings.HasPrefix(r.URL.Path, "/apis/api."+b.app.group()+"/v1"):
		answer = object{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "api." + b.app.group() + "/v1", "resources": []any{}}
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer) //nolint:errcheck // the client went away
}
