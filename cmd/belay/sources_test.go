package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	gosync "sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
	"github.com/belay-gitops/belay/sync/git"
)

// gitHost is the real `git http-backend` with one repository.
type gitHost struct {
	t   *testing.T
	dir string
	*httptest.Server

	mu       gosync.Mutex
	password string
	polls    int           // POSTs, of which a fetch is one as well
	broken   bool          // fetches fail
	hang     chan struct{} // fetches take until it is closed; nil for no longer than they do
}

func newGitHost(t *testing.T) *gitHost {
	t.Helper()
	path, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	h := &gitHost{t: t, dir: filepath.Join(t.TempDir(), "shop.git")}
	if err := os.Mkdir(h.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h.git("init", "--quiet", "--initial-branch=main", ".")
	h.git("config", "core.fsync", "none")
	backend := cgi.Handler{Path: path, Args: []string{"http-backend"}, Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(h.dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null"}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h.mu.Lock()
		want, broken, hang := h.password, h.broken, h.hang
		if req.Method == http.MethodPost {
			h.polls++
		}
		h.mu.Unlock()
		if broken || hang != nil {
			body, _ := io.ReadAll(req.Body)
			req.Body = io.NopCloser(bytes.NewReader(body))
			if isFetch := bytes.Contains(body, []byte("command=fetch")); isFetch && broken {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			} else if isFetch && hang != nil {
				<-hang
			}
		}
		if _, password, _ := req.BasicAuth(); password != want {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler := backend
		handler.Env = append(slices.Clip(handler.Env), "GIT_PROTOCOL="+req.Header.Get("Git-Protocol"))
		handler.ServeHTTP(w, req)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *gitHost) git(args ...string) {
	h.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = h.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=Ana", "GIT_AUTHOR_EMAIL=a@b.c", "GIT_COMMITTER_NAME=Ana", "GIT_COMMITTER_EMAIL=a@b.c")
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func (h *gitHost) commit(files map[string]string) {
	h.t.Helper()
	for name, content := range files {
		path := filepath.Join(h.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			h.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			h.t.Fatal(err)
		}
	}
	h.git("add", "--all")
	h.git("commit", "--quiet", "--allow-empty", "--message", "commit")
}

// asked is how many POSTs there were since it was called last.
func (h *gitHost) asked() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.polls
	h.polls = 0
	return n
}

func (h *gitHost) spec() v1alpha1.Source {
	return v1alpha1.Source{URL: h.URL + "/shop.git/.git", Interval: metav1.Duration{Duration: time.Hour}}
}

// calls is who was told what.
type calls struct {
	mu     gosync.Mutex
	called []string
	looked map[string]time.Time
	passed map[string][2]string
	heard  chan struct{} // of a look
}

func (c *calls) Call(name types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.called = append(c.called, name.Name)
}

func (c *calls) Looked(begun time.Time, names ...types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range names {
		c.looked[name.Name] = begun
	}
	select {
	case c.heard <- struct{}{}:
	default:
	}
}

func (c *calls) Passed(name types.NamespacedName, from, to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed[name.Name] = [2]string{from, to}
}

// told is who was called since it was called last.
func (c *calls) told() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	called := slices.Sorted(slices.Values(c.called))
	c.called = nil
	return called
}

func newTestSources(t *testing.T) (*sources, *calls) {
	c := &calls{looked: map[string]time.Time{}, passed: map[string][2]string{}, heard: make(chan struct{}, 1)}
	s := newSources(c, agentFlags{allowHTTP: true, cacheDir: t.TempDir()})
	return s, c
}

// pass is what a pass of a Sync at rest does with its source: it looks, and reads its path where that is new.
func (s *source) testPass(t *testing.T, spec v1alpha1.Source, since time.Time) string {
	t.Helper()
	s.begin(spec)
	head, _, err := s.Head(t.Context(), since)
	if err != nil {
		t.Fatal(err)
	}
	wanted := s.wanted
	if wanted == "" || wanted != head && !s.Unchanged(t.Context(), head) {
		tree, err := s.Tree(t.Context(), head)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fs.ReadFile(tree, spec.Path+"/app.yaml"); err != nil {
			t.Fatal(err)
		}
		wanted = head
	}
	s.end(sync.Outcome{Decided: true, Indifferent: true, Wanted: manifests.Commit{Hash: wanted}, Latest: head})
	return head
}

// testSync is the source of a Sync of namespace shop.
func (s *sources) testSync(name string) *source {
	return &source{name: types.NamespacedName{Namespace: "shop", Name: name}, sources: s}
}

// poll has the only remote polled now, as its time would.
func (s *sources) testPoll(t *testing.T) {
	t.Helper()
	for _, u := range s.remotes {
		u.tend(t.Context())
	}
}

func TestAThousandSyncsOfARefArePolledOnceAndOneIsCalled(t *testing.T) {
	h := newGitHost(t)
	files := map[string]string{}
	for i := range 1000 {
		files[fmt.Sprintf("apps/%d/app.yaml", i)] = fmt.Sprint("app: ", i)
	}
	h.commit(files)
	s, calls := newTestSources(t)
	all := make([]*source, 1000)
	began := time.Now()
	for i := range all {
		all[i] = s.testSync(fmt.Sprint(i))
		spec := h.spec()
		spec.Path = fmt.Sprint("apps/", i)
		all[i].testPass(t, spec, began)
	}
	if n := h.asked(); n != 2 {
		t.Errorf("%d requests for the first look of all, want a poll and a fetch", n)
	}
	s.testPoll(t) // the news of the first look
	calls.told()
	h.commit(map[string]string{"apps/417/app.yaml": "app: new"})
	s.testPoll(t)
	if got := calls.told(); !slices.Equal(got, []string{"417"}) {
		t.Errorf("called: %v", got)
	}
	if n := h.asked(); n != 2 {
		t.Errorf("%d requests for a commit, want a poll and a fetch", n)
	}
	if len(calls.passed) != 999 || len(calls.looked) != 1000 { // one has looked, and not again
		t.Errorf("%d passed over, %d looked", len(calls.passed), len(calls.looked))
	}
	before := calls.looked["417"]
	spec := h.spec()
	spec.Path = "apps/417"
	head := all[417].testPass(t, spec, time.Time{})
	if !calls.looked["417"].After(before) || calls.passed["3"][1] != head || h.asked() > 0 {
		t.Errorf("looked at %s, passed %v, head %s", calls.looked["417"], calls.passed["3"], head)
	}
	s.testPoll(t)
	if n := h.asked(); n != 1 || len(calls.told()) > 0 {
		t.Errorf("%d requests at rest, and somebody is called", n)
	}
}

func TestSyncsAreCalledWhenTheRemoteFailsAndWhenItAnswersAgain(t *testing.T) {
	h := newGitHost(t)
	h.commit(map[string]string{"a/app.yaml": "1"})
	s, calls := newTestSources(t)
	spec := h.spec()
	spec.Path = "a"
	a := s.testSync("a")
	a.testPass(t, spec, time.Now())
	s.testPoll(t)
	h.mu.Lock()
	h.password = "secret"
	h.mu.Unlock()
	s.testPoll(t)
	if got := calls.told(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("called when it fails: %v", got)
	}
	a.begin(spec)
	_, _, err := a.Head(t.Context(), time.Time{})
	var told *git.Error
	if !errors.As(err, &told) || told.Reason != git.AuthenticationFailed {
		t.Errorf("the error is %v", err)
	}
	a.end(sync.Outcome{Decided: true, Indifferent: true, Wanted: manifests.Commit{Hash: a.wanted}, Latest: a.wanted})
	u := a.remote
	if wait := u.wait(time.Now(), time.Hour); wait < 50*time.Second || wait > 80*time.Second {
		t.Errorf("it is asked again in %s", wait)
	}
	s.testPoll(t)
	if got := calls.told(); len(got) > 0 {
		t.Errorf("called for the same: %v", got)
	}
	h.mu.Lock()
	h.password = ""
	h.mu.Unlock()
	s.testPoll(t)
	if got := calls.told(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("called when it answers: %v", got)
	}
}

func TestSecretsAreForTheirNamespaceAndReadAnewWhereTheyWereRefused(t *testing.T) {
	h := newGitHost(t)
	h.commit(map[string]string{"a/app.yaml": "1"})
	h.password = "right"
	s, _ := newTestSources(t)
	var read []string
	password := "wrong"
	s.secret = func(_ context.Context, name types.NamespacedName) (map[string]string, error) {
		read = append(read, name.String())
		return map[string]string{"username": "belay", "password": password}, nil
	}
	spec := h.spec()
	spec.Path, spec.SecretRef = "a", &v1alpha1.LocalReference{Name: "git"}
	at := func(namespace, name string) *source {
		return &source{name: types.NamespacedName{Namespace: namespace, Name: name}, sources: s}
	}
	a := at("shop", "a")
	a.begin(spec)
	if _, _, err := a.Head(t.Context(), time.Now()); err == nil {
		t.Fatal("a wrong password is right")
	}
	password = "right"
	a.testPass(t, spec, time.Now())
	at("shop", "b").testPass(t, spec, time.Time{})
	other := at("web", "c")
	other.testPass(t, spec, time.Time{})
	if want := []string{"shop/git", "shop/git", "web/git"}; !slices.Equal(read, want) {
		t.Errorf("read %v, want %v", read, want)
	}
	if other.remote == a.remote {
		t.Error("a Secret of another namespace is used")
	}
}

func TestWhatNobodyFollowsIsRemoved(t *testing.T) {
	h := newGitHost(t)
	h.commit(map[string]string{"a/app.yaml": "1"})
	s, _ := newTestSources(t)
	spec := h.spec()
	spec.Path = "a"
	a := s.testSync("a")
	b := s.testSync("b")
	a.testPass(t, spec, time.Now())
	b.testPass(t, spec, time.Time{})
	dir := a.remote.cacheDir
	there := func() bool {
		_, err := os.Stat(dir)
		return err == nil
	}
	a.leave()
	if !there() {
		t.Error("what another Sync follows is gone")
	}
	spec.Ref.Branch = "main"
	b.testPass(t, spec, time.Now())
	if there() || len(s.remotes) != 1 {
		t.Errorf("%d remotes, the first one there: %t", len(s.remotes), there())
	}
	b.leave()
	if len(s.remotes) > 0 || len(s.syncs) > 0 {
		t.Errorf("left: %v, %v", s.remotes, s.syncs)
	}
}

func TestIdleSyncsAreRefreshedByAPoll(t *testing.T) {
	h := newGitHost(t)
	h.commit(map[string]string{"a/app.yaml": "1"})
	s, calls := newTestSources(t)
	spec := h.spec()
	spec.Path = "a"
	idle := s.testSync("idle")
	busy := s.testSync("busy")
	idle.testPass(t, spec, time.Now())
	busy.begin(spec)
	s.testPoll(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Start(ctx) }()
	asked := time.Now()
	unknown := types.NamespacedName{Namespace: "shop", Name: "unknown"}
	if rest := s.refresh([]types.NamespacedName{idle.name, busy.name, unknown}); !slices.Equal(rest, []types.NamespacedName{busy.name, unknown}) {
		t.Errorf("the rest is %v", rest)
	}
	for looked := false; !looked; {
		<-calls.heard
		calls.mu.Lock()
		looked = calls.looked["idle"].After(asked)
		calls.mu.Unlock()
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestManySyncsLookAtOnce(t *testing.T) {
	h := newGitHost(t)
	h.commit(map[string]string{"a/app.yaml": "1"})
	s, _ := newTestSources(t)
	spec := h.spec()
	spec.Path = "a"
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Start(ctx) }()
	var work gosync.WaitGroup
	since := time.Now()
	for i := range 32 {
		work.Go(func() {
			a := s.testSync(fmt.Sprint(i))
			for range 5 {
				a.testPass(t, spec, since)
			}
			if i%2 == 0 {
				a.leave()
			}
		})
	}
	work.Wait()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := h.asked(); n != 2 {
		t.Errorf("%d requests, want a poll and a fetch", n)
	}
}

func TestTriesAreSpaced(t *testing.T) {
	now := time.Now()
	limited := &git.Error{Reason: git.RateLimited, RetryAfter: 10 * time.Minute, Temporary: true}
	down := errors.New("down")
	for _, test := range []struct {
		name     string
		last     answer
		err      error
		failures int
		least    time.Duration
	}{
		{"the first", answer{head: "a"}, down, 1, time.Second},
		{"the next", answer{head: "a", err: down, failures: 1, until: now}, down, 2, 2 * time.Second},
		{"one that somebody asked for", answer{head: "a", err: down, failures: 3, until: now.Add(time.Second)}, down, 3, 4 * time.Second},
		{"as the remote asks", answer{head: "a"}, limited, 1, 10 * time.Minute},
		{"at most", answer{head: "a", err: down, failures: 50, until: now}, down, 51, 15 * time.Minute},
	} {
		got := answer{begun: now, err: test.err}.after(test.last, now)
		if wait := got.until.Sub(now); got.failures != test.failures || wait < test.least || wait > test.least*5/4+1 || got.head != "a" {
			t.Errorf("%s: %d failures, wait %s, head %q", test.name, got.failures, wait, got.head)
		}
	}
	if got := (answer{begun: now, head: "b"}).after(answer{head: "a", err: down, failures: 3}, now); got.failures != 0 || got.head != "b" {
		t.Errorf("after a success: %+v", got)
	}
}

func TestASyncOfOneCommitIsAskedAgainWhereItsSecretWasMissing(t *testing.T) {
	h := newGitHost(t)
	h.commit(map[string]string{"a/app.yaml": "1"})
	s, calls := newTestSources(t)
	missing := true
	s.secret = func(context.Context, types.NamespacedName) (map[string]string, error) {
		if missing {
			return nil, errors.New("there is no such Secret")
		}
		return map[string]string{}, nil
	}
	spec := h.spec()
	spec.Ref.Commit, spec.SecretRef = "9f2c1e7000000000000000000000000000000000", &v1alpha1.LocalReference{Name: "git"}
	a := s.testSync("a")
	since := time.Now()
	a.begin(spec)
	if _, _, err := a.Head(t.Context(), since); err == nil {
		t.Fatal("a Secret that is missing is there")
	}
	a.end(sync.Outcome{})
	s.testPoll(t) // tells
	calls.told()
	if wait := a.remote.wait(time.Now(), time.Hour); wait > 2*time.Second {
		t.Errorf("it is asked again in %s", wait)
	}
	missing = false
	s.testPoll(t)
	if got := calls.told(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("called: %v", got)
	}
	if head, _, err := a.Head(t.Context(), since); err != nil || head != spec.Ref.Commit {
		t.Errorf("the head is %q, %v", head, err)
	}
}

func TestAnIdleSyncOfOneCommitHasLookedWhenItIsAsked(t *testing.T) {
	h := newGitHost(t)
	h.commit(map[string]string{"a/app.yaml": "1"})
	s, _ := newTestSources(t)
	spec := h.spec()
	spec.Ref.Commit = "9f2c1e7000000000000000000000000000000000"
	a := s.testSync("a")
	a.begin(spec)
	head, _, err := a.Head(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a.end(sync.Outcome{Decided: true, Wanted: manifests.Commit{Hash: head}, Latest: head})
	s.testPoll(t)
	if rest := s.refresh([]types.NamespacedName{a.name}); len(rest) > 0 {
		t.Fatalf("the rest is %v", rest)
	}
	if wait := a.remote.wait(time.Now(), time.Hour); wait > askedEvery {
		t.Errorf("it is asked in %s", wait)
	}
}

func TestAShorterIntervalCountsAtOnce(t *testing.T) {
	h := newGitHost(t)
	h.commit(map[string]string{"a/app.yaml": "1"})
	s, _ := newTestSources(t)
	spec := h.spec()
	spec.Path = "a"
	a := s.testSync("a")
	a.testPass(t, spec, time.Now())
	s.testPoll(t)
	select {
	case <-s.wake:
	default:
	}
	a.testPass(t, spec, time.Time{})
	if len(s.wake) > 0 {
		t.Error("a pass like the one before has the remotes gone through")
	}
	spec.Interval.Duration = time.Minute
	a.testPass(t, spec, time.Time{})
	if len(s.wake) == 0 {
		t.Error("nobody looks when the remote is to be asked next")
	}
}

func TestACommitThatCannotBeFetchedIsNotFetchedForEachSync(t *testing.T) {
	h := newGitHost(t)
	h.commit(map[string]string{"a/app.yaml": "1"})
	s, calls := newTestSources(t)
	spec := h.spec()
	spec.Path = "a"
	for i := range 20 {
		a := s.testSync(fmt.Sprint(i))
		a.testPass(t, spec, time.Time{})
	}
	s.testPoll(t)
	calls.told()
	h.commit(map[string]string{"b/app.yaml": "1"})
	h.broken = true
	h.asked()
	s.testPoll(t)
	if n, called := h.asked(), calls.told(); n != 2 || len(called) != 20 {
		t.Errorf("%d requests, want a poll and a fetch; %d called", n, len(called))
	}
}

func TestASlowFetchHoldsUpNoOtherSync(t *testing.T) {
	h := newGitHost(t)
	h.commit(map[string]string{"a/app.yaml": "1"})
	s, _ := newTestSources(t)
	spec := h.spec()
	spec.Path = "a"
	a := s.testSync("a")
	a.testPass(t, spec, time.Now())
	h.commit(map[string]string{"b/app.yaml": "1"})
	h.hang = make(chan struct{})
	a.begin(spec)
	head, _, err := a.Head(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	h.asked()
	same := make(chan bool)
	go func() { same <- a.Unchanged(t.Context(), head) }()
	for h.asked() == 0 { // the fetch has begun
		time.Sleep(time.Millisecond)
	}
	gone := make(chan struct{})
	go func() {
		s.due(time.Now())
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		t.Error("all wait for it")
	}
	close(h.hang)
	if !<-same {
		t.Error("it is changed")
	}
	<-gone
}
