package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func testRenderer(t *testing.T, concurrency int) *renderer {
	t.Helper()
	r, err := newRenderer(0, concurrency)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSmallRenderingsGetByWhileLongOnesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := testRenderer(t, 2)
		leave, err := r.enter(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		entered := false
		go func() {
			leaveToo, err := r.enter(t.Context(), true)
			if err != nil {
				t.Error(err)
				return
			}
			entered = true
			leaveToo()
		}()
		synctest.Wait()
		for range 10 {
			leaveSmall, err := r.enter(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			leaveSmall()
		}
		if entered {
			t.Error("two long renderings have both places")
		}
		leave()
		synctest.Wait()
		if !entered {
			t.Error("the long rendering still waits")
		}
	})
}

func TestRenderingsEnterInTheOrderTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := testRenderer(t, 1)
		leave, err := r.enter(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		var order []int
		for i := range 20 {
			go func() {
				leave, err := r.enter(t.Context(), i%2 == 0)
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, i)
				leave()
			}()
			synctest.Wait()
		}
		leave()
		synctest.Wait()
		if len(order) != 20 {
			t.Fatalf("%d of 20 entered", len(order))
		}
		var last [2]int
		for _, i := range order {
			if i < last[i%2] {
				t.Fatalf("%d entered after %d: %v", i, last[i%2], order)
			}
			last[i%2] = i
		}
	})
}

func TestWhoGivesUpWaitingLeavesNoPlaceTaken(t *testing.T) {
	r := testRenderer(t, 1)
	leave, err := r.enter(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.enter(gone, true); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	leave()
	leave, err = r.enter(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	leave()
}
