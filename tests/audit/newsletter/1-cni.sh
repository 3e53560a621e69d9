#!/bin/sh
kubectl set env daemonset aws-node -n kube-system ENABLE_CUSTOM_NETWORKING=true  # !vpc-cni-custom-networking
kubectl get pods -n kube-system -l k8s-app=kube-dns
