package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The promise for a thousand Syncs that share fifty images.
func TestAThousandCallersOfFiftyTagsAskForEachOnce(t *testing.T) {
	const callers, images = 1000, 50
	server := serve(t)
	clock := newClock()
	resolver := server.resolverAt(t, Options{}, clock.now)
	want := map[string]string{}
	var first, second []string
	for i := range images {
		repository := fmt.Sprintf("app%d", i)
		digest := server.push(repository + ":1")
		want[server.host+"/"+repository+":1"] = digest
		second = append(second, "HEAD /v2/"+repository+"/manifests/1")
		first = append(first, "HEAD /v2/"+repository+"/manifests/1", "GET /v2/"+repository+"/manifests/"+digest)
	}
	server.forget()
	queries := ask(slices.Sorted(maps.Keys(want))...)
	round := func() {
		t.Helper()
		since := clock.now()
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				got, err := resolver.Resolve(t.Context(), queries, since)
				if err != nil {
					t.Error(err)
				}
				if !maps.Equal(want, digests(got)) {
					t.Error("digests (-want +got):\n" + cmp.Diff(want, digests(got)))
				}
			})
		}
		all.Wait()
	}
	round()
	server.expect(append(first, "GET /v2/")...)

	server.forget()
	clock.Time = clock.Add(5 * time.Minute)
	round()
	server.expect(second...)
}

func TestAnAnswerIsTakenAgainIfItIsYoungEnough(t *testing.T) {
	server := serve(t)
	digest := server.push("cart:1")
	clock := newClock()
	resolver := server.resolverAt(t, Options{}, clock.now)
	start := clock.now()
	image := server.host + "/cart:1"
	for _, step := range []struct {
		since time.Time
		want  []string
	}{
		{start, []string{"GET /v2/", "GET " + cart + digest, "HEAD " + cart + "1"}},
		{start, nil},
		{start.Add(-time.Hour), nil},
		{time.Time{}, nil},
		{start.Add(2 * time.Minute), []string{"HEAD " + cart + "1"}}, // now is a minute later
		{start.Add(time.Hour), nil},                                  // a time to come means now, and that is when it was asked
	} {
		server.forget()
		got, err := resolver.Resolve(t.Context(), ask(image), step.since)
		if err != nil || got[image].Digest != digest {
			t.Errorf("got %v, %v", got, err)
		}
		server.expect(step.want...)
		if len(step.want) == 3 {
			if !got[image].At.Equal(start) {
				t.Errorf("it was said at %v", got[image].At)
			}
			clock.Time = clock.Add(time.Minute)
		}
	}
}

// Between a registry's answer and its arrival a tag may move, and the commit be pushed that means the new one.
func TestAnAnswerIsAsOldAsItsQuestion(t *testing.T) {
	server := serve(t)
	before := server.push("cart:1")
	clock := newClock()
	resolver := server.resolverAt(t, Options{}, clock.now)
	start := clock.now()
	slow := true
	server.on("HEAD "+cart+"1", func(w http.ResponseWriter, _ *http.Request) {
		if slow {
			clock.Time = clock.Add(time.Minute)
		}
		w.Header().Set("Docker-Content-Digest", before)
	})
	image := server.host + "/cart:1"
	got, err := resolver.Resolve(t.Context(), ask(image), start)
	if err != nil || !got[image].At.Equal(start) {
		t.Errorf("got %v, %v", got, err)
	}
	slow = false
	server.forget()
	if _, err := resolver.Resolve(t.Context(), ask(image), start.Add(30*time.Second)); err != nil {
		t.Error(err)
	}
	server.expect("HEAD " + cart + "1")
}

// Who has no credentials, or others, does not get what another's credentials gave.
func TestAnAnswerIsForItsAccountOnly(t *testing.T) {
	server := serve(t)
	digest := server.push("cart:1")
	server.protect("ana", "pw")
	resolver := server.resolver(t, Options{})
	image := server.host + "/cart:1"
	since := time.Now()
	if _, err := resolver.Resolve(t.Context(), []Query{{image, login(t, server.host, "ana", "pw")}}, since); err != nil {
		t.Fatal(err)
	}
	for _, credentials := range [][]*Credentials{nil, login(t, server.host, "bob", "pw"), login(t, "other.io", "ana", "pw")} {
		got, err := resolver.Resolve(t.Context(), []Query{{image, credentials}}, since)
		if e := firstError(t, err); e.Reason != Unauthorized || len(got) != 0 {
			t.Errorf("got %v, %v", got, err)
		}
	}
	server.forget()
	// The same credentials are the same account, whatever they are called, wherever they stand in the list.
	again := append(login(t, server.host, "ana", "pw"), login(t, server.host, "bob", "pw")...)
	again[0].Source = "Secret till/registry"
	got, err := resolver.Resolve(t.Context(), []Query{{image, again}}, since)
	if err != nil || got[image].Digest != digest || got[image].Source != "Secret till/registry" {
		t.Errorf("got %v, %v", got, err)
	}
	server.expect()
}

func TestAPingIsKeptForAnHour(t *testing.T) {
	server := serve(t)
	server.push("cart:1")
	clock := newClock()
	resolver := server.resolverAt(t, Options{}, clock.now)
	var want []string
	for _, requests := range []string{"GET /v2/, HEAD", "HEAD", "GET /v2/, HEAD"} {
		server.forget()
		if _, err := resolver.Resolve(t.Context(), ask(server.host+"/cart:1"), clock.now()); err != nil {
			t.Fatal(err)
		}
		want = want[:0]
		for request := range strings.SplitSeq(requests, ", ") {
			want = append(want, strings.Replace(request, "HEAD", "HEAD "+cart+"1", 1))
		}
		server.expectBut("GET "+cart, want...)
		clock.Time = clock.Add(31 * time.Minute)
	}
}

func TestATokenIsKeptUntilItEnds(t *testing.T) {
	server := serve(t)
	server.push("cart:1")
	server.wantToken("token")
	clock := newClock()
	resolver := server.resolverAt(t, Options{Credentials: login(t, server.host, "ana", "pw")}, clock.now)
	for _, step := range []struct {
		after time.Duration
		want  []string
	}{
		{0, []string{"GET /token", "GET /v2/", "HEAD " + cart + "1"}},
		{45 * time.Second, []string{"HEAD " + cart + "1"}},
		{55 * time.Second, []string{"GET /token", "HEAD " + cart + "1"}}, // for it ends after 60
	} {
		server.forget()
		clock.Time = newClock().Add(step.after)
		if _, err := resolver.Resolve(t.Context(), ask(server.host+"/cart:1"), clock.now()); err != nil {
			t.Fatal(step.after, err)
		}
		server.expectBut("GET "+cart, step.want...)
	}
}

func TestATokenIsRenewedOnceWhereItIsRefused(t *testing.T) {
	server := serve(t)
	server.push("cart:1")
	server.push("cart:2")
	server.wantToken("token")
	resolver := server.resolver(t, Options{Credentials: login(t, server.host, "ana", "pw")})
	resolve := func() error {
		_, err := resolver.Resolve(t.Context(), ask(server.host+"/cart:1"), time.Now())
		return err
	}
	if err := resolve(); err != nil {
		t.Fatal(err)
	}
	server.forget()
	server.setToken("another")
	if err := resolve(); err != nil {
		t.Fatal(err)
	}
	server.expect("GET /token", "HEAD "+cart+"1", "HEAD "+cart+"1")

	server.forget()
	server.setToken("")
	if e := firstError(t, resolve()); e.Reason != Unauthorized {
		t.Errorf("got %v", e)
	}
	server.expect("GET /token", "HEAD "+cart+"1", "HEAD "+cart+"1")
}

func TestAHostThatIsDownIsNotAskedByEachOfAThousand(t *testing.T) {
	server := serve(t)
	server.on("HEAD "+cart+"1", status(http.StatusBadGateway, nil))
	clock := newClock()
	resolver := server.resolverAt(t, Options{}, clock.now)
	failures := make(chan *Error, 1000)
	var all sync.WaitGroup
	for range cap(failures) {
		all.Go(func() {
			_, err := resolver.Resolve(t.Context(), ask(server.host+"/cart:1"), clock.now())
			e := (*Error)(nil)
			errors.As(err, &e)
			failures <- e
		})
	}
	all.Wait()
	close(failures)
	kept := 0
	for e := range failures {
		if e == nil || e.Reason != Unavailable || !e.Temporary {
			t.Fatalf("got %v", e)
		}
		if strings.Contains(e.Detail, "failed 5 times in a row from 2026-05-01T10:00:00Z on; the last time, the registry answered 502") {
			kept++
		}
	}
	if kept != 995 {
		t.Errorf("%d were kept away", kept)
	}
	head := "HEAD " + cart + "1"
	server.expect("GET /v2/", head, head, head, head, head)

	server.forget()
	server.on(head, nil)
	server.push("cart:1")
	clock.Time = clock.Add(time.Second)
	if _, err := resolver.Resolve(t.Context(), ask(server.host+"/cart:1"), clock.now()); err != nil {
		t.Error(err)
	}
	server.expectBut("GET "+cart, head)
}

func TestMoreThanTheBudgetIsBusyAndWhatIsAnsweredIsKept(t *testing.T) {
	server := serve(t)
	var images []string
	for i := range burst/2 + 20 {
		images = append(images, server.host+fmt.Sprintf("/cart:%d", i))
		server.push(fmt.Sprintf("cart:%d", i))
	}
	clock := newClock()
	resolver := server.resolverAt(t, Options{}, clock.now)
	since := clock.now()
	got, err := resolver.Resolve(t.Context(), ask(images...), since)
	if e := firstError(t, err); e.Reason != Busy || !e.Temporary || e.RetryAfter <= 0 || len(got) == 0 {
		t.Errorf("got %d answers and %v", len(got), e)
	}
	for range 10 {
		clock.Time = clock.Add(time.Second)
		if got, err = resolver.Resolve(t.Context(), ask(images...), since); err == nil {
			break
		}
	}
	if err != nil || len(got) != len(images) {
		t.Errorf("got %d answers and %v", len(got), err)
	}
}

// Those who waited take a refusal; who comes later does not.
func TestAMissingTagIsNotAskedForByEachOfAThousand(t *testing.T) {
	server := serve(t)
	missing := []string{"GET " + cart + "1", "HEAD " + cart + "1"}
	release := make(chan struct{})
	server.on(missing[0], func(w http.ResponseWriter, r *http.Request) { <-release; server.registry.ServeHTTP(w, r) })
	resolver := server.resolver(t, Options{})
	since := time.Now()
	var began, all sync.WaitGroup
	for range 1000 {
		began.Add(1)
		all.Go(func() {
			pass := resolver.newPass(t.Context())
			began.Done()
			questions, err := parseQueries(ask(server.host + "/cart:1"))
			if err != nil {
				t.Error(err)
				return
			}
			var e *Error
			if _, err := pass.resolve(t.Context(), questions[0], since); !errors.As(err, &e) || e.Reason != NotFound {
				t.Errorf("got %v", err)
			}
		})
	}
	began.Wait()
	close(release)
	all.Wait()
	server.expect(append(missing, "GET /v2/")...)

	server.on(missing[0], nil)
	digest := server.push("cart:1")
	image := server.host + "/cart:1"
	if got, err := resolver.Resolve(t.Context(), ask(image), since); err != nil || got[image].Digest != digest {
		t.Errorf("got %v, %v", got, err)
	}
	server.expect("GET "+cart+digest, "HEAD "+cart+"1")
}

// The server that makes tokens has moved.
func TestAfterASignInThatFailsAnewTheRegistryIsAskedHow(t *testing.T) {
	server := serve(t)
	server.push("cart:1")
	server.wantToken("token")
	clock := newClock()
	resolver := server.resolverAt(t, Options{Credentials: login(t, server.host, "ana", "pw")}, clock.now)
	resolve := func() error {
		_, err := resolver.Resolve(t.Context(), ask(server.host+"/cart:1"), clock.now())
		return err
	}
	if err := resolve(); err != nil {
		t.Fatal(err)
	}
	server.on("GET /token", status(http.StatusGone, nil))
	clock.Time = clock.Add(10 * time.Minute)
	server.forget()
	if e := firstError(t, resolve()); e.Reason != Unavailable {
		t.Errorf("got %v", e)
	}
	server.expect("GET /token")
	server.forget()
	server.wantToken("token")
	if err := resolve(); err != nil {
		t.Fatal(err)
	}
	server.expect("GET /token", "GET /v2/", "HEAD "+cart+"1")
}

func TestThoseWhoDoNotWaitDoNotMakeAHostSeemDown(t *testing.T) {
	server := serve(t)
	server.push("cart:1")
	resolver := server.resolver(t, Options{})
	resolve := func(ctx context.Context) error {
		_, err := resolver.Resolve(ctx, ask(server.host+"/cart:1"), time.Now())
		return err
	}
	for range 2 * tolerated {
		ctx, cancel := context.WithCancel(t.Context())
		server.on("HEAD "+cart+"1", func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
		if err := resolve(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	server.on("HEAD "+cart+"1", nil)
	if err := resolve(t.Context()); err != nil {
		t.Error(err)
	}
}

// Else all of what a host is asked could be for tags, again and again, while no manifest is ever fetched.
func TestAHostThatIsBusyIsAskedNothingTwice(t *testing.T) {
	server := serve(t)
	var images, want []string
	for i := range burst {
		digest := server.push(fmt.Sprintf("cart:%d", i))
		images = append(images, server.host+fmt.Sprintf("/cart:%d", i))
		want = append(want, fmt.Sprintf("HEAD %s%d", cart, i), "GET "+cart+digest)
	}
	clock := newClock()
	resolver := server.resolverAt(t, Options{Concurrency: 4 * perSecond}, clock.now)
	since := clock.now()
	for range 2 * burst {
		got, err := resolver.Resolve(t.Context(), ask(images...), since)
		if err == nil {
			break
		}
		if e := firstError(t, err); e.Reason != Busy {
			t.Fatalf("got %d answers and %v", len(got), err)
		}
		clock.Time = clock.Add(time.Second)
	}
	server.expect(append(want, "GET /v2/")...)
}

// The tag is asked for again where its digest is none to stay with.
func TestATagIsAskedForAgainWhereItsDigestIsGone(t *testing.T) {
	server := serve(t)
	clock := newClock()
	resolver := server.resolverAt(t, Options{}, clock.now)
	server.on("HEAD "+cart+"1", status(http.StatusOK, http.Header{"Docker-Content-Digest": {someDigest}}))
	since := clock.now()
	resolve := func() (string, error) {
		got, err := resolver.Resolve(t.Context(), ask(server.host+"/cart:1"), since)
		return got[server.host+"/cart:1"].Digest, err
	}
	if _, err := resolve(); firstError(t, err).Reason != NotFound {
		t.Errorf("got %v", err)
	}
	server.on("HEAD "+cart+"1", nil)
	want := server.push("cart:1")
	server.on("GET "+cart+want, status(http.StatusBadGateway, nil))
	if _, err := resolve(); firstError(t, err).Reason != Unavailable {
		t.Errorf("got %v", err)
	}
	server.on("GET "+cart+want, nil)
	if got, err := resolve(); err != nil || got != want {
		t.Errorf("got %s, %v", got, err)
	}
	server.expect("HEAD "+cart+"1", "GET "+cart+want, "GET "+cart+want)
}
