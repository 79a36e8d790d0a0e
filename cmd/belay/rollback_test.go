package main

import (
	"strings"
	"testing"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestARollbackTellsTheRevertThatMakesItPermanent(t *testing.T) {
	target := manifests.Record{Number: 41, Commit: manifests.Commit{Hash: "41aa09b1111", Subject: "Cart 2"}}
	for _, test := range []struct {
		name   string
		target manifests.Record
		wanted *v1alpha1.Wanted
		want   string
	}{
		{"in the words to type", target, &v1alpha1.Wanted{Commit: "9f2c1e72222"}, "Git still wants 9f2c1e7. To make it permanent:  git revert --no-edit 41aa09b..9f2c1e7"},
		{"or that there is none", target, &v1alpha1.Wanted{Commit: "41aa09b1111"}, "Git wants 41aa09b, the commit of release 41 too: there is nothing to revert."},
		{"or that it is not known", target, nil, "What Git wants is not known yet. To make it permanent, revert what came after 41aa09b."},
		{"on either side", manifests.Record{Number: 41}, &v1alpha1.Wanted{Commit: "9f2c1e72222"}, "Git still wants 9f2c1e7. The commit of release 41 is not known"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := permanently(test.target, test.wanted); !strings.HasPrefix(got, test.want) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
	sync := &v1alpha1.Sync{}
	sync.Name, sync.Namespace, sync.Spec.Suspend = "shop", "team", true
	var out strings.Builder
	tellRollback(&out, sync, target)
	for _, want := range []string{
		`rollback of team/shop to release 41 (commit 41aa09b "Cart 2") asked for`, "belay wait shop -n team ", "exit code 2",
		"belay sync shop -n team --retry", "spec.suspend is true",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
}

func TestWaitDoesNotAnswerBeforeARollbackIsHeard(t *testing.T) {
	sync := told(v1alpha1.Kept, "1111111aaaa", "1111111aaaa")
	if v := verdictOn(sync, ""); !v.final || v.code != exitOK {
		t.Fatalf("before it: %+v", v)
	}
	if err := askBack(sync, v1alpha1.RollbackRequest{At: "now", Reason: "it loses items"}); err != nil {
		t.Fatal(err)
	}
	if got, want := sync.Annotations[v1alpha1.AnnotationRollback], `{"at":"now","reason":"it loses items"}`; got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
	if v := verdictOn(sync, ""); v.final {
		t.Errorf("while it is not heard: %+v", v)
	}
	sync.Status.LastHandledRollbackAt = "now"
	if v := verdictOn(sync, ""); !v.final {
		t.Errorf("once it is: %+v", v)
	}
	sync.Annotations[v1alpha1.AnnotationRollback] = "rubbish"
	if v := verdictOn(sync, ""); !v.final {
		t.Errorf("what is no request is waited for: %+v", v)
	}
}
