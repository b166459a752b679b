"""Times the same training step in plain PyTorch, which a user would run instead. It needs only torch.

python benchmarks/train_step_torch.py --width=1 --batch_size=64 --dtype=float32 --json=FILE
"""

import json
import statistics
import time

import harness
import torch
from torch import nn


class Block(nn.Module):
    """Applies a basic residual block."""

    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.shortcut = nn.Identity()
        if stride != 1 or before != width:
            self.shortcut = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        """Maps `[B, before, H, W]` to `[B, width, H / stride, W / stride]`."""
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.shortcut(x))


def make_encoder(width):
    """Makes a ResNet-18 with the CIFAR stem, followed by the 2-layer projector to d = 2048."""
    base = round(64 * width)
    layers = [nn.Conv2d(3, base, 3, 1, 1, bias=False), nn.BatchNorm2d(base), nn.ReLU()]
    before = base
    for times, stride in ((1, 1), (1, 1), (2, 2), (2, 1), (4, 2), (4, 1), (8, 2), (8, 1)):
        layers.append(Block(before, times * base, stride))
        before = times * base
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers += [nn.Linear(before, before, bias=False), nn.BatchNorm1d(before), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(before, 2048), nn.BatchNorm1d(2048, affine=False))


def main():
    """Runs the benchmark."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--channels_last", action="store_true")
    parser.add_argument("--steps", type=int, default=9)
    options = parser.parse_args()
    encoder = make_encoder(options.width)
    predictor = nn.Sequential(nn.Linear(2048, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 2048))
    views = [torch.randn(options.batch_size, 3, 32, 32) for _ in range(2)]
    if options.channels_last:
        encoder = encoder.to(memory_format=torch.channels_last)
        views = [x.to(memory_format=torch.channels_last) for x in views]
    parameters = [*encoder.parameters(), *predictor.parameters()]
    optimizer = torch.optim.SGD(parameters, 0.03, momentum=0.9, weight_decay=1e-4)
    similarity = nn.CosineSimilarity(dim=1)
    seconds = []
    for _ in range(2 + options.steps):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=options.dtype == "bfloat16"):
            z1, z2 = (encoder(x) for x in views)
            p1, p2 = predictor(z1), predictor(z2)
        loss = -(similarity(p1.float(), z2.float().detach()) + similarity(p2.float(), z1.float().detach())).mean() / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds[2:])
    result = {"images_per_second": options.batch_size / median, "median_step_seconds": median, **vars(options)}
    print(json.dumps(result))
    harness.write_result(result, options.json)


if __name__ == "__main__":
    main()
