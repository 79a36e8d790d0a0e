package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"sync"
	"time"
)

// syncState is what is asked of a Sync's status.
type syncState struct {
	Metadata struct{ Name, Namespace, ResourceVersion string }
	Status   struct {
		Phase                  string
		LastHandledReconcileAt string
		Wanted, Deployed       struct{ Commit string }
		Conditions             []struct{ Type, Status, Reason, Message string }
	}
}

func (s syncState) key() string { return s.Metadata.Namespace + "/" + s.Metadata.Name }

// kept is a Sync whose release of a commit is kept; of any commit, if it is "".
func kept(commit string) func(syncState) bool {
	return func(s syncState) bool {
		return s.Status.Phase == "Kept" && (commit == "" || s.Status.Deployed.Commit == commit)
	}
}

// watcher follows all Syncs of a cluster through one watch, so that waiting for them costs the API server little.
type watcher struct {
	cancel context.CancelFunc
	ended  chan struct{}

	mutex   sync.Mutex
	states  map[string]syncState
	failure error
	news    chan struct{} // closed and made anew with each event that somebody waits for
	waiting map[*wait]bool
}

// wait is for Syncs that are not yet as they should be.
type wait struct {
	left map[string]bool
	done func(syncState) bool
	over chan struct{}
	at   time.Time // when the last one was
}

func watchSyncs(ctx context.Context, a *api) *watcher {
	ctx, cancel := context.WithCancel(ctx)
	w := &watcher{cancel: cancel, ended: make(chan struct{}), states: map[string]syncState{}, waiting: map[*wait]bool{}}
	go func() {
		defer close(w.ended)
		err := follow(ctx, a, "/apis/belay.dev/v1alpha1/syncs?watch=true&timeoutSeconds=36000", func(line []byte) bool {
			w.take(line)
			return true
		})
		w.mutex.Lock()
		defer w.mutex.Unlock()
		w.failure = fmt.Errorf("the watch of Syncs has ended: %w", err)
	}()
	return w
}

func (w *watcher) stop() {
	w.cancel()
	<-w.ended
}

// take reads an event.
func (w *watcher) take(line []byte) {
	at := time.Now()
	var event struct {
		Type   string
		Object syncState
	}
	if err := json.Unmarshal(line, &event); err != nil {
		return
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	key := event.Object.key()
	w.states[key] = event.Object
	if event.Type == "DELETED" {
		delete(w.states, key)
	}
	for each := range w.waiting {
		if each.left[key] && each.done(event.Object) {
			delete(each.left, key)
		}
		if len(each.left) == 0 {
			each.at = at
			close(each.over)
			delete(w.waiting, each)
		}
	}
}

// expect begins to wait for Syncs to be as they should be.
func (w *watcher) expect(keys []string, done func(syncState) bool) *wait {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	one := &wait{left: map[string]bool{}, done: done, over: make(chan struct{})}
	for _, key := range keys {
		if state, there := w.states[key]; !there || !done(state) {
			one.left[key] = true
		}
	}
	if len(one.left) == 0 {
		one.at = time.Now()
		close(one.over)
		return one
	}
	w.waiting[one] = true
	return one
}

// until waits, and answers when the last Sync was as it should be.
func (w *watcher) until(ctx context.Context, one *wait, within time.Duration) (time.Time, error) {
	select {
	case <-one.over:
		return one.at, nil
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	case <-w.ended:
		return time.Time{}, w.failure
	case <-time.After(within):
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	delete(w.waiting, one)
	for key := range one.left {
		return time.Time{}, fmt.Errorf("after %s, %d Syncs are not as they should be, such as %s: %+v", within, len(one.left), key, w.states[key].Status)
	}
	return one.at, nil
}

// left tells how many Syncs are still waited for.
func (w *watcher) left(one *wait) int {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return len(one.left)
}

// follow hands each line of a watch to take until that answers false.
func follow(ctx context.Context, a *api, path string, take func(line []byte) bool) error {
	response, err := a.send(ctx, "GET", path, "", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != 200 {
		return fmt.Errorf("GET %s: %s", path, response.Status)
	}
	lines := bufio.NewReaderSize(response.Body, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return err
		}
		if !take(line) {
			return nil
		}
	}
}

// seen watches one object until a line of its watch is as wanted, and sends when that came. It has begun to watch when it
// returns.
func (t *target) seen(ctx context.Context, collection, name string, wanted func(event string, object []byte) bool) (<-chan time.Time, error) {
	var list struct {
		Metadata struct{ ResourceVersion string }
	}
	selector := "fieldSelector=" + url.QueryEscape("metadata.name="+name)
	if err := t.admin.get(ctx, collection+"?"+selector, &list); err != nil {
		return nil, err
	}
	at := make(chan time.Time, 1)
	go func() {
		err := follow(ctx, t.admin, collection+"?watch=true&"+selector+"&resourceVersion="+list.Metadata.ResourceVersion, func(line []byte) bool {
			now := time.Now()
			var event struct {
				Type   string
				Object json.RawMessage
			}
			if json.Unmarshal(line, &event) != nil || !wanted(event.Type, event.Object) {
				return true
			}
			at <- now
			return false
		})
		if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, io.EOF) {
			close(at)
		}
	}()
	return at, nil
}

// median is that of at least one number.
func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	if len(sorted)%2 == 1 {
		return sorted[len(sorted)/2]
	}
	return (sorted[len(sorted)/2-1] + sorted[len(sorted)/2]) / 2
}

// await waits for a time that a watch sends.
func await(ctx context.Context, at <-chan time.Time, within time.Duration) (time.Time, error) {
	select {
	case when, ok := <-at:
		if !ok {
			return time.Time{}, errors.New("the watch has ended")
		}
		return when, nil
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	case <-time.After(within):
		return time.Time{}, fmt.Errorf("not within %s", within)
	}
}

// soon is how long a small thing may take before it is given up.
const soon = 2 * time.Minute
