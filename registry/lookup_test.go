package registry

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func always(int) bool { return true }

func TestThoseWhoWaitTakeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLookup[string, int](10)
		var asked atomic.Int32
		done := make(chan int, 100)
		for range cap(done) {
			go func() {
				got, err := l.do(t.Context(), "a", always, func() (int, error) {
					time.Sleep(time.Second)
					return int(asked.Add(1)), nil
				})
				if err != nil {
					t.Error(err)
				}
				done <- got
			}()
		}
		for range cap(done) {
			if got := <-done; got != 1 {
				t.Errorf("got the answer of question %d", got)
			}
		}
	})
}

func TestAnAnswerThatIsNotGoodIsAskedForAgain(t *testing.T) {
	l := newLookup[string, int](10)
	for want := range 3 {
		got, err := l.do(t.Context(), "a", func(n int) bool { return n >= want }, func() (int, error) { return want, nil })
		if err != nil || got != want {
			t.Errorf("got %d, %v", got, err)
		}
	}
	l.forget("a")
	if _, known := l.get("a"); known {
		t.Error("it is still known")
	}
}

func TestAnErrorIsNotShared(t *testing.T) {
	l := newLookup[string, int](10)
	broken := errors.New("broken")
	if _, err := l.do(t.Context(), "a", always, func() (int, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if len(l.places) != 0 {
		t.Error("a place is left behind")
	}
	if got, err := l.do(t.Context(), "a", always, func() (int, error) { return 7, nil }); got != 7 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLookup[string, int](10)
		release := make(chan struct{})
		go l.do(t.Context(), "a", always, func() (int, error) { <-release; return 1, nil })
		synctest.Wait()
		stop := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(stop)
		if _, err := l.do(ctx, "a", always, func() (int, error) { return 2, nil }); !errors.Is(err, stop) {
			t.Errorf("got %v", err)
		}
		close(release)
		synctest.Wait()
		if got, known := l.get("a"); !known || got != 1 {
			t.Errorf("got %d, %t", got, known)
		}
	})
}

func TestAPanicLeavesTheTurnToOthers(t *testing.T) {
	l := newLookup[string, int](10)
	func() {
		defer func() { _ = recover() }()
		_, _ = l.do(t.Context(), "a", always, func() (int, error) { panic("no such index") })
	}()
	if got, err := l.do(t.Context(), "a", always, func() (int, error) { return 7, nil }); got != 7 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestTheOldestAnswersMakeRoom(t *testing.T) {
	l := newLookup[int, int](3)
	put := func(n int) {
		if _, err := l.do(t.Context(), n, func(int) bool { return false }, func() (int, error) { return n, nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{1, 2, 3, 1, 4} { // 1 is given anew
		put(n)
	}
	for n, want := range map[int]bool{1: true, 2: false, 3: true, 4: true} {
		if _, known := l.get(n); known != want {
			t.Errorf("%d: got %t", n, known)
		}
	}
	if len(l.places) != 3 || l.age.Len() != 3 {
		t.Errorf("got %d places, %d by age", len(l.places), l.age.Len())
	}
}

func TestAForgottenAnswerTakesNoPlace(t *testing.T) {
	l := newLookup[string, int](3)
	if _, err := l.do(t.Context(), "a", always, func() (int, error) { return 1, nil }); err != nil {
		t.Fatal(err)
	}
	l.forget("a")
	if _, known := l.get("a"); known || len(l.places) != 0 || l.age.Len() != 0 {
		t.Errorf("known %t, %d places, %d by age", known, len(l.places), l.age.Len())
	}
	_, err := l.do(t.Context(), "a", always, func() (int, error) { l.forget("a"); return 2, nil }) // while somebody asks
	if got, known := l.get("a"); err != nil || !known || got != 2 {
		t.Errorf("got %d, %t, %v", got, known, err)
	}
}
