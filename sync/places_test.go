package sync

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// runner is a custom resource of a kind that belay does not know, with an image in two fields.
func runner(image, helper string) map[string]any {
	return map[string]any{"apiVersion": "example.com/v1", "kind": "Runner", "metadata": map[string]any{"name": "run"},
		"spec": map[string]any{"image": image, "helper": map[string]any{"image": helper}}}
}

// images of the runner in the cluster.
func (a *agent) runs() []string {
	spec, _ := a.live[manifests.ID{Group: "example.com", Kind: "Runner", Namespace: "shop", Name: "run"}]["spec"].(map[string]any)
	helper, _ := spec["helper"].(map[string]any)
	image, _ := spec["image"].(string)
	second, _ := helper["image"].(string)
	return []string{image, second}
}

func TestImagesAreFoundWhereTheSpecAndTheAgentSay(t *testing.T) {
	w := newWorld()
	w.tags["acme/run:1"], w.tags["acme/help:1"] = "sha256:one", "sha256:help"
	w.push("v1", runner("acme/run:1", "acme/help:1"))
	a := newAgent(t, w)
	a.settle()
	if diff := cmp.Diff([]string{"acme/run:1", "acme/help:1"}, a.runs()); diff != "" {
		t.Error(diff)
	}
	want := []v1alpha1.UnpinnedImage{
		{Object: "Runner/shop/run", Where: "spec.helper.image", Image: "acme/help:1", Reason: "belay does not know this field; name it in spec.images.paths"},
		{Object: "Runner/shop/run", Where: "spec.image", Image: "acme/run:1", Reason: "belay does not know this field; name it in spec.images.paths"},
	}
	if diff := cmp.Diff(want, a.status.Unpinned); diff != "" {
		t.Error(diff)
	}
	a.spec.Images.Paths = []v1alpha1.ImagePath{{Group: "example.com", Kind: "Runner", Path: "spec.image"}}
	a.gen++
	a.settle()
	if diff := cmp.Diff([]string{"acme/run@sha256:one", "acme/help:1"}, a.runs()); diff != "" {
		t.Error(diff)
	}
	if len(a.status.Unpinned) != 1 || a.status.Unpinned[0].Where != "spec.helper.image" {
		t.Errorf("unpinned: %+v", a.status.Unpinned)
	}
	t.Run("and must be, to be signed", func(t *testing.T) {
		a.spec.Images.Verify = signed("acme/help:*")
		a.gen++
		a.push("v2", config("vars", "2"), runner("acme/run:1", "acme/help:1"))
		a.poll()
		if p := a.out.Problem; p == nil || p.Reason != "VerifyNeedsPin" || !strings.Contains(p.Message, "Runner/shop/run (deploy/1.json): spec.helper.image: acme/help:1") {
			t.Errorf("the problem is %+v", p)
		}
	})
	t.Run("as the agent may say, too", func(t *testing.T) {
		a.syncer.Places = []manifests.Place{{Group: "example.com", Kind: "Runner", Path: "spec.helper.image"}}
		a.spec.Images.Verify = signed("acme/*")
		a.gen++
		a.settle()
		if diff := cmp.Diff([]string{"acme/run@sha256:one", "acme/help@sha256:help"}, a.runs()); diff != "" {
			t.Error(diff)
		}
		if len(a.status.Unpinned) > 0 {
			t.Errorf("unpinned: %+v", a.status.Unpinned)
		}
	})
}

func TestAPathThatLeadsNowhereIsRefused(t *testing.T) {
	a := kept(t)
	a.spec.Images.Paths = []v1alpha1.ImagePath{{Kind: "Runner", Path: "spec.image"}, {Kind: "Runner", Path: "spec..image"}}
	a.gen++
	if wrote := only(a.poll(), writes); len(wrote) > 0 {
		t.Errorf("wrote %v", wrote)
	}
	if p := a.out.Problem; p == nil || p.Reason != "InvalidSpec" || p.Temporary || !strings.Contains(p.Message, `spec.images.paths[1], "spec..image": `) {
		t.Errorf("the problem is %+v", p)
	}
	a.spec.Images.Paths = nil
	a.gen++
	a.settle()
	if a.out.Problem != nil {
		t.Errorf("and then %+v", a.out.Problem)
	}
}

func TestExcludedImagesRunAsTheyAreWritten(t *testing.T) {
	w := newWorld()
	w.tags["acme/cart:1"] = "sha256:one"
	w.push("v1", web("cart", "acme/cart:1"), web("local", "registry.local/team/a:1"))
	a := newAgent(t, w)
	a.spec.Images.Exclude = []string{"registry.local/*"}
	a.settle()
	if a.image("cart") != "acme/cart@sha256:one" || a.image("local") != "registry.local/team/a:1" {
		t.Errorf("runs %s and %s", a.image("cart"), a.image("local"))
	}
	for _, request := range a.requests {
		if diff := cmp.Diff([]string{"acme/cart:1"}, manifests.ImageNames(request.Images)); diff != "" {
			t.Error(diff)
		}
	}
}
