// Answers the claims of kind's storage class `standard`: a directory of the node a claim, which goes with it.
//
// It stands in for local-path-provisioner, which starts a pod to make each directory and another to remove it: two of
// three pods of a rehearsal on the throwaway node. Names, places and objects are the same:
// ROOT/<volume>_<namespace>_<claim>, mode 0777, a hostPath volume bound to its node, deleted or retained by its reclaim
// policy, which the controller library keeps.
package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v11/controller"
)

const nodeLabel = "kubernetes.io/hostname"

type maker struct{ root string }

func (m maker) Provision(_ context.Context, options controller.ProvisionOptions) (*v1.PersistentVolume, controller.ProvisioningState, error) {
	claim, node := options.PVC, options.SelectedNode
	if node == nil {
		return nil, controller.ProvisioningFinished, errors.New("no node is chosen: the class needs volumeBindingMode WaitForFirstConsumer")
	}
	if claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == v1.PersistentVolumeBlock {
		return nil, controller.ProvisioningFinished, errors.New("a directory is no block device")
	}
	path := filepath.Join(m.root, options.PVName+"_"+claim.Namespace+"_"+claim.Name)
	// an attempt whose answer was lost has made it already
	if err := os.Mkdir(path, 0o777); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, controller.ProvisioningFinished, err
	}
	if err := os.Chmod(path, 0o777); err != nil { // whatever the umask took away
		return nil, controller.ProvisioningFinished, err
	}
	kind, mode := v1.HostPathDirectoryOrCreate, v1.PersistentVolumeFilesystem
	return &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: v1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    &mode,
			Capacity:                      v1.ResourceList{v1.ResourceStorage: claim.Spec.Resources.Requests[v1.ResourceStorage]},
			PersistentVolumeSource:        v1.PersistentVolumeSource{HostPath: &v1.HostPathVolumeSource{Path: path, Type: &kind}},
			NodeAffinity: &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{
				MatchExpressions: []v1.NodeSelectorRequirement{{
					Key: nodeLabel, Operator: v1.NodeSelectorOpIn, Values: []string{node.Labels[nodeLabel]},
				}},
			}}}},
		},
	}, controller.ProvisioningFinished, nil
}

func (m maker) Delete(_ context.Context, volume *v1.PersistentVolume) error {
	source := volume.Spec.HostPath
	if source == nil || filepath.Dir(filepath.Clean(source.Path)) != m.root {
		return &controller.IgnoredError{Reason: "not a directory of this maker's"}
	}
	return os.RemoveAll(source.Path)
}

func main() {
	name := flag.String("provisioner", "rancher.io/local-path", "what the storage class names")
	root := flag.String("root", "/var/local-path-provisioner", "the node's directory, mounted at the same place")
	klog.InitFlags(nil)
	flag.Parse()
	settings, err := rest.InClusterConfig()
	if err != nil {
		klog.Fatal(err)
	}
	settings.QPS, settings.Burst = 50, 100
	client, err := kubernetes.NewForConfig(settings)
	if err != nil {
		klog.Fatal(err)
	}
	ctx := context.Background()
	// one replica, restarted by its Deployment: nobody to elect a leader among
	controller.NewProvisionController(ctx, client, *name, maker{filepath.Clean(*root)},
		controller.LeaderElection(false)).Run(ctx)
}
