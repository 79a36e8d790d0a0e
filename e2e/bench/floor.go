package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// write is a request of the floor, ready to be sent.
type write struct {
	method, path, contentType string
	body                      []byte
}

// dry is the same as a dry run.
func (w write) dry() write {
	w.path += "&dryRun=All"
	return w
}

// load is what the floor sends for one Sync: all its dry runs, then the Secrets, the applies and the status, since each
// follows from what was before. Those of a kind are sent side by side.
type load struct{ stages [][]write }

// newLoad makes the requests for a Sync that holds these objects. With number 1 its first release is stored.
func newLoad(namespace, name string, number int, applies []write) (load, error) {
	var dry []write
	for _, w := range applies {
		dry = append(dry, w.dry())
	}
	secrets, err := secretsOf(namespace, name, number, applies)
	if err != nil {
		return load{}, err
	}
	return load{[][]write{dry, secrets, applies, {statusOf(namespace, name, number)}}}, nil
}

// onlyApplies leaves out everything else.
func (l load) onlyApplies() load { return load{[][]write{l.stages[2]}} }

// secretSize is the most that a Secret holds of a release, as in belay.
const secretSize = 896 << 10

// secretsOf stores the objects, compressed, as belay does.
func secretsOf(namespace, name string, number int, applies []write) ([]write, error) {
	var packed bytes.Buffer
	packer := gzip.NewWriter(&packed)
	for _, w := range applies {
		if _, err := packer.Write(w.body); err != nil {
			return nil, err
		}
	}
	if err := packer.Close(); err != nil {
		return nil, err
	}
	var secrets []write
	for data := range slices.Chunk(packed.Bytes(), secretSize) {
		body, err := json.Marshal(map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "bench.belay.dev/release", "immutable": true,
			"metadata": map[string]any{
				"name":   fmt.Sprintf("floor.%s.%d.%d", name, number, len(secrets)),
				"labels": map[string]any{"bench.belay.dev/release-of": name},
				"annotations": map[string]any{ // about as long as belay's
					"bench.belay.dev/record":   fmt.Sprintf(`{"commit":{"hash":"%040d","author":"bench","subject":"all of them"},"rendered":"%064d","objects":"%064d"}`, number, number, number),
					"bench.belay.dev/checksum": fmt.Sprintf("%064d", number),
					"bench.belay.dev/outcome":  `{"result":"Applying"}`,
				},
			},
			"data": map[string]any{"release": base64.StdEncoding.EncodeToString(data)},
		})
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, write{"POST", "/api/v1/namespaces/" + namespace + "/secrets?fieldManager=floor", jsonType, body})
	}
	return secrets, nil
}

// statusOf tells what belay tells of a Sync whose release is kept.
func statusOf(namespace, name string, number int) write {
	now := time.Now().UTC().Format(time.RFC3339)
	commit := fmt.Sprintf("%040d", number)
	condition := func(kind, status, reason, message string) map[string]any {
		return map[string]any{"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now, "observedGeneration": 1}
	}
	body, _ := json.Marshal(map[string]any{"status": map[string]any{ // strings and numbers alone: there is no error
		"observedGeneration": 1, "phase": "Kept",
		"wanted":   map[string]any{"commit": commit, "shortCommit": commit[:7], "author": "bench", "subject": "all of them", "observedAt": now},
		"deployed": map[string]any{"commit": commit, "shortCommit": commit[:7], "release": number, "since": now},
		"objects":  map[string]any{"total": 4, "healthy": 4, "progressing": 0, "failed": 0, "images": 1},
		"history":  []any{map[string]any{"release": number, "commit": commit, "author": "bench", "subject": "all of them", "result": "Kept", "duration": "1s", "at": now}},
		"conditions": []any{
			condition("Ready", "True", "Kept", "release "+commit[:7]+" is healthy"),
			condition("Healthy", "True", "Healthy", "4 of 4 objects are healthy"),
		},
	}})
	return write{"PATCH", syncsPath(namespace) + "/" + name + "/status", mergeType, body}
}

// run sends the loads with so many requests under way at a time, and answers how long that took.
func (f *api) run(ctx context.Context, loads []load, inFlight int) (seconds float64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, inFlight)
	one := func(w write) {
		if err := f.discard(ctx, w); err != nil {
			cancel(err)
		}
		<-slots
	}
	began := time.Now()
	var all sync.WaitGroup
	// As many Syncs are begun as there are slots: each soon has several requests that wait for one.
	begun := make(chan struct{}, inFlight)
	for _, l := range loads {
		begun <- struct{}{}
		all.Go(func() {
			for _, stage := range l.stages {
				var sent sync.WaitGroup
				for _, w := range stage {
					slots <- struct{}{}
					sent.Go(func() { one(w) })
				}
				sent.Wait()
			}
			<-begun
		})
	}
	all.Wait()
	return time.Since(began).Seconds(), context.Cause(ctx)
}

// discard makes a request, and does not look at what it answers, unless it is a refusal.
func (f *api) discard(ctx context.Context, w write) error {
	response, err := f.send(ctx, w.method, w.path, w.contentType, w.body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
		return &refusal{w.method + " " + w.path, response.StatusCode, string(text)}
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
